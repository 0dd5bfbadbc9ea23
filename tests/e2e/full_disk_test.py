#!/usr/bin/env python3
"""A full disk: said in SQL and by ccloud, nothing harmed, and all goes on when there is room again.

    tests/e2e/full_disk_test.py [BIN_DIR]        needs a loop device; says so and skips without one
"""
import os
import subprocess
import unittest

import harness
from harness import BIN, Cluster, Key, host

MIB = 1 << 20
FILES = ('ballast', 'wedge')


def setUpModule():
    disk, image = host.dir / 'kh', host.dir / 'disk.img'
    disk.mkdir()
    with open(image, 'wb') as file:
        file.truncate(400 * MIB)
    subprocess.run(['mkfs.ext4', '-q', '-m', '0', image], check=True)
    if subprocess.run(['mount', '-o', 'loop', image, disk]).returncode != 0:
        raise unittest.SkipTest('no loop device here: the full disk is not tested')
    os.rmdir(disk / 'lost+found')
    host.start()


def tearDownModule():
    host.stop()
    subprocess.run(['umount', host.dir / 'kh'], check=True)
    harness.shutil.rmtree(host.dir)


def fill():
    """Takes all that is left on the disk, to the last block."""
    for name, step in zip(FILES, (MIB, 4096)):
        with open(host.dir / 'kh' / name, 'wb', buffering=0) as file:
            try:
                while True:
                    file.write(b'\0' * step)
                    os.fsync(file.fileno())
            except OSError:
                pass


def make_room():
    for name in FILES:
        (host.dir / 'kh' / name).unlink(missing_ok=True)


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.addCleanup(make_room)

    def test_rows_stay_and_writes_come_back(self):
        cluster = Cluster('full')
        self.addCleanup(cluster.delete)
        cluster.update(Key())
        cluster.sql('CREATE TABLE kept (id INT PRIMARY KEY, v STRING)')
        cluster.sql("INSERT INTO kept SELECT g, repeat('k', 500) FROM generate_series(1, 2000) g")
        fill()
        written, refusal = 0, None
        for batch in range(60):
            done = cluster.sql(f"INSERT INTO kept SELECT g, repeat('f', 500) FROM generate_series({3000 + 10000 * batch}, "
                               f'{3000 + 10000 * batch + 9999}) g', ok=False)
            if done.returncode != 0:
                refusal = done.stderr
                break
            written += 10000
        self.assertIsNotNone(refusal, 'the disk never was full')
        make_room()
        cluster.await_sql(True, 60)
        self.assertEqual(cluster.sql('SELECT count(*) FROM kept').stdout.strip(), str(2000 + written))
        cluster.sql("INSERT INTO kept VALUES (1000000000, 'back')")
        self.assertEqual(cluster.info()['cmek_config']['status'], 'ENABLED')

    def test_the_server_says_so_and_changes_nothing(self):
        before = host.json(BIN / 'ccloud', 'cluster', 'list', '-o', 'json')
        fill()
        refused = host.run(BIN / 'ccloud', 'cluster', 'create', 'ADVANCED', 'late', 'us-east-1', '--cloud', 'AWS', '--wait', ok=False)
        if refused.returncode == 0:  # the log of SQLite had room for it
            make_room()
            host.run(BIN / 'ccloud', 'cluster', 'delete', 'late', '--yes')
        else:
            self.assertRegex(refused.stderr, 'full|No space')
            make_room()
        self.assertEqual([c['id'] for c in host.json(BIN / 'ccloud', 'cluster', 'list', '-o', 'json')], [c['id'] for c in before])

    def test_a_rotation_on_a_full_disk_leaves_a_key_that_opens(self):
        cluster = Cluster('turn')
        self.addCleanup(cluster.delete)
        first, second = Key(), Key()
        cluster.update(first)
        cluster.sql('CREATE TABLE kept (id INT); INSERT INTO kept VALUES (1)')
        fill()
        cluster.update(second, ok=False)
        make_room()
        host.stop()
        host.start()
        cluster.await_sql(True, 60)
        self.assertEqual(cluster.sql('SELECT * FROM kept').stdout.strip(), '1')
        cluster.update(second)
        self.assertEqual(cluster.info()['cmek_config']['key_spec']['uri'], second.arn)


if __name__ == '__main__':
    unittest.main(verbosity=2)
