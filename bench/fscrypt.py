"""A directory that the kernel encrypts (fscrypt on ext4, AES-256-XTS, not authenticated), on a loop device: ext4 must have been made for it.

The calls and structures are those of linux/fscrypt.h; docs.kernel.org/filesystems/fscrypt.html says what they do.
"""
import contextlib
import fcntl
import os
import struct
import subprocess

import programs

IMAGE_GIB = 8
SET_POLICY, ADD_KEY = 0x800C6613, 0xC0506617
BY_IDENTIFIER, VERSION, AES_256_XTS, AES_256_CTS, PAD_32 = 2, 2, 1, 4, 3


@contextlib.contextmanager
def opened(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def mount(image, volume, place):
    """An ext4 in a sparse file at `image`, mounted at `volume` until `place` ends."""
    with open(image, 'wb') as file:
        file.truncate(IMAGE_GIB << 30)
    programs.run('mkfs.ext4', '-q', '-O', 'encrypt', '-E', 'lazy_itable_init=0', image)
    programs.run('mount', '-o', 'loop', image, volume)
    place.callback(subprocess.run, ['umount', volume], capture_output=True)


def encrypt(volume, directory):
    """Makes `directory`, which must be empty, one that is encrypted under a fresh key. OSError where the kernel cannot."""
    secret = os.urandom(64)
    with opened(volume) as fd:
        argument = bytearray(struct.pack('=II32xII32x', BY_IDENTIFIER, 0, len(secret), 0) + secret)
        fcntl.ioctl(fd, ADD_KEY, argument)
        identifier = bytes(argument[8:24])
    with opened(directory) as fd:
        fcntl.ioctl(fd, SET_POLICY, struct.pack('=BBBBB3x16s', VERSION, AES_256_XTS, AES_256_CTS, PAD_32, 0, identifier))
