"""A disk whose power can be cut, for tests that run as root."""
import ctypes
import fcntl
import os
import struct
import subprocess
import time
import unittest

# ext4's: from now on nothing reaches the disk, nor what is in the log and was not made durable (fs/ext4/ext4.h).
EXT4_IOC_SHUTDOWN = 0x8004587D
EXT4_GOING_FLAGS_NOLOGFLUSH = 2

CLONE_NEWNS = 0x00020000


def enter_own_namespace():
    """A disk that others' mount namespaces have too stays mounted there, and cut off. What is mounted goes with this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), 'a mount namespace of its own (the tests run as root)')
    subprocess.run(['mount', '--make-rprivate', '/'], check=True)


class Disk:
    """An ext4 of its own in `image`, mounted at `directory`, which it makes. Call enter_own_namespace() before."""

    def __init__(self, image, directory, size):
        self.image, self.dir = image, directory
        self.dir.mkdir()
        subprocess.run(['truncate', '-s', size, self.image], check=True)
        subprocess.run(['mkfs.ext4', '-q', '-m', '0', self.image], check=True)
        try:
            self.open()
        except subprocess.CalledProcessError as error:
            raise unittest.SkipTest('no loop device here: no power is cut') from error
        os.rmdir(self.dir / 'lost+found')

    def open(self):
        self.is_cut = False
        subprocess.run(['mount', '-o', 'loop', self.image, self.dir], check=True)

    def cut(self):
        """The power: what was not made durable is gone once the disk is closed and opened."""
        self.is_cut = True
        directory = os.open(self.dir, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, EXT4_IOC_SHUTDOWN, struct.pack('I', EXT4_GOING_FLAGS_NOLOGFLUSH))
        finally:
            os.close(directory)

    def close(self, within=60):
        """Once the last process has let go of it."""
        deadline = time.monotonic() + within
        subprocess.run(['umount', '-l', self.dir], check=True)
        while (loop := subprocess.run(['losetup', '-j', self.image], capture_output=True, text=True).stdout):
            if time.monotonic() > deadline:
                raise AssertionError(f'somebody keeps the disk: {loop}')
            time.sleep(0.05)
