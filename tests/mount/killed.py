"""A mount of a store that can be killed, or its disk cut off, and processes that write to a database on it until then."""
import os
import pathlib
import select
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import disk

class Mount:
    """`disk_size`: of a disk of the store's own, for cut()."""

    def __init__(self, helper, base, *flags, disk_size=None):
        self.helper, self.flags = helper, flags
        self.disk = disk.Disk(base / 'image', base / 'disk', disk_size) if disk_size else None
        self.below, self.dir = (self.disk.dir if self.disk else base) / 'store', base / 'mnt'
        self.below.mkdir()
        self.dir.mkdir()
        self.open()

    def open(self):
        if self.disk and self.disk.is_cut:
            self.disk.close()
            self.disk.open()
        self.process = subprocess.Popen([self.helper, self.below, self.dir, *self.flags], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not os.path.ismount(self.dir):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f'no mount; the helper ended with {self.process.poll()}')
            time.sleep(0.01)

    def kill(self):
        self.process.kill()
        self.process.wait()
        subprocess.run(['umount', '-l', self.dir], check=True)

    def cut(self):
        """The power: of the process first, because ext4 answers some fsyncs that are under way meanwhile as if they were done (seen
        without a store, too). Who has files open on the disk must end before open()."""
        self.kill()
        self.disk.cut()

    def close(self):
        if self.process.poll() is None:
            subprocess.run(['umount', '-l', self.dir], check=True)
            self.process.wait(60)
        if self.disk:
            self.disk.close()


class Writers:
    """Processes that write, and the last row of each that was acknowledged. `program`, a Python program, is given the database,
    the writer's number and its first row, and prints the number of each row once its commit has returned."""

    def __init__(self, program, database, acknowledged):
        self.acknowledged = acknowledged
        self.processes = [subprocess.Popen([sys.executable, '-c', program, database, str(i), str(last + 1)],
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE) for i, last in enumerate(acknowledged)]

    def watch(self, seconds):
        """Takes what they acknowledge until the time is over, at least one row of each."""
        deadline = time.monotonic() + seconds
        waiting = set(range(len(self.processes)))
        while waiting or time.monotonic() < deadline:
            if time.monotonic() > deadline + 60:
                raise AssertionError(f'writers {waiting} wrote nothing within a minute')
            ready, _, _ = select.select([p.stdout for p in self.processes], [], [], 0.05)
            for i, process in enumerate(self.processes):
                if process.stdout in ready and self.take(i, process.stdout.readline()):
                    waiting.discard(i)

    def take(self, i, line):
        if not line.endswith(b'\n'):
            raise AssertionError(f'a writer ended: {self.processes[i].stderr.read().decode()[-500:]}')
        self.acknowledged[i] = int(line)
        return True

    def end(self):
        for process in self.processes:
            process.kill()
        for i, process in enumerate(self.processes):
            rest = [line for line in process.stdout.read().split(b'\n')[:-1] if line]
            if rest:
                self.acknowledged[i] = int(rest[-1])
            process.stderr.close()
            process.stdout.close()
            process.wait()


def check_last(test, last, acknowledged):
    """`last`: the last row of each writer that is there. One commit may have been done and its acknowledgement lost."""
    for writer, row in enumerate(acknowledged):
        if row >= 0:
            test.assertIn(last.get(writer), (row, row + 1), f'writer {writer}')
        acknowledged[writer] = last.get(writer, -1)
