#!/usr/bin/env python3
"""Ten thousand open files: no descriptor each, and little memory.

    scale_test.py STORE_MOUNT_HELPER [FILES]
"""
import os
import pathlib
import resource
import shutil
import sys
import tempfile
import time
import unittest

import killed

HELPER = sys.argv.pop(1)
FILES = int(sys.argv.pop(1)) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 10_000
MOST_KIB = 64 << 10
MOST_DESCRIPTORS = 2300  # MountOptions::open_descriptors, and those of threads, store and kernel


class ScaleTest(unittest.TestCase):
    def setUp(self):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix='keyhold-scale-', dir='/var/tmp'))
        self.mount = killed.Mount(HELPER, self.base, 'eager')

    def tearDown(self):
        self.mount.close()
        shutil.rmtree(self.base)

    def resident_kib(self):
        status = pathlib.Path(f'/proc/{self.mount.process.pid}/status').read_text()
        return int(status.split('VmRSS:')[1].split()[0])

    def content(self, i):
        return b'%d\n' % i * 700  # more than a block

    def test_ten_thousand_open_files(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES + 100, FILES + 100))
        files = []
        for i in range(FILES):
            files.append(os.open(self.mount.dir / f'f{i}', os.O_CREAT | os.O_RDWR))
            os.write(files[-1], self.content(i))
        os.sync()
        kib = self.resident_kib()
        deadline = time.monotonic() + 60
        while kib > MOST_KIB and time.monotonic() < deadline:
            time.sleep(0.2)
            kib = self.resident_kib()
        descriptors = len(os.listdir(f'/proc/{self.mount.process.pid}/fd'))
        print(f'{FILES} open files: {kib} KiB resident, {descriptors} descriptors', flush=True)
        self.assertLess(kib, MOST_KIB)
        self.assertLess(descriptors, MOST_DESCRIPTORS)
        for i, file in enumerate(files):
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            self.assertEqual(os.pread(file, 10_000, 0), self.content(i))
            os.close(file)


if __name__ == '__main__':
    unittest.main(verbosity=2)
