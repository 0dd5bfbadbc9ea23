#!/usr/bin/env python3
"""SQLite on a mounted store: writers that are killed, a mount that is killed, power that is cut, and no acknowledged commit lost.

    sqlite_test.py STORE_MOUNT_HELPER [ROUNDS]

SQLite's own journal modes stand for what databases ask of a file system besides PostgreSQL: WAL shares memory through a
mapped file and locks byte ranges, DELETE makes and unlinks a journal for each transaction. Each round writes by several
processes, kills them or the mount or cuts its disk's power at an instant of its own, and looks at what is left. Without a loop device
it is skipped.
"""
import pathlib
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import unittest

import killed  # first: it leads to the next
import disk

HELPER = sys.argv.pop(1)
ROUNDS = int(sys.argv.pop(1)) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 4
WRITERS = 3
MODES = ('WAL', 'DELETE', 'TRUNCATE')

WRITER = '''
import random, sqlite3, sys, time
database, writer, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
db = sqlite3.connect(database, timeout=60, isolation_level=None)
db.execute("PRAGMA synchronous = EXTRA")
row = first
while True:
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO rows VALUES (?, ?, ?)", (writer, row, random.randbytes(random.randrange(1, 9000))))
    db.execute("DELETE FROM rows WHERE writer = ? AND row = ?", (writer, row - 50))
    db.execute("COMMIT")
    print(row, flush=True)
    row += 1
    time.sleep(random.uniform(0, 0.01))  # who waits for SQLite's lock is not served in turn
'''


class SqliteTest(unittest.TestCase):
    def setUp(self):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix='keyhold-sqlite-', dir='/var/tmp'))
        self.mount = killed.Mount(HELPER, self.base, disk_size='256M')

    def tearDown(self):
        self.mount.close()
        shutil.rmtree(self.base)

    def look(self, database, acknowledged):
        """What is there, after SQLite's own recovery: whole, and each writer's rows up to the last acknowledged one."""
        db = sqlite3.connect(database, timeout=60)
        self.assertEqual(db.execute('PRAGMA integrity_check').fetchall(), [('ok',)])
        last = dict(db.execute('SELECT writer, max(row) FROM rows GROUP BY writer'))
        killed.check_last(self, last, acknowledged)
        db.close()

    def rounds(self, mode, seed):
        luck = random.Random(seed)
        database = str(self.mount.dir / f'{mode}.db')
        db = sqlite3.connect(database)
        self.assertEqual(db.execute(f'PRAGMA journal_mode = {mode}').fetchone()[0].upper(), mode)
        db.execute('CREATE TABLE rows (writer INT, row INT, body BLOB, PRIMARY KEY (writer, row))')
        db.commit()
        db.close()
        acknowledged = [-1] * WRITERS
        for _ in range(ROUNDS):
            writers = killed.Writers(WRITER, database, acknowledged)
            try:
                writers.watch(luck.uniform(0.1, 0.6))
                luck.choice([lambda: None, self.mount.kill, self.mount.cut, self.mount.cut])()
            finally:
                writers.end()
            if self.mount.process.poll() is not None:
                self.mount.open()
            self.look(database, acknowledged)
        self.assertGreater(min(acknowledged), ROUNDS - 2)

    def test_no_acknowledged_commit_is_lost(self):
        for mode in MODES:
            seed = random.randrange(1 << 32)
            with self.subTest(mode=mode, seed=seed):
                self.rounds(mode, seed)


if __name__ == '__main__':
    # Writers that are waited for in vain must not outlive the test.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    disk.enter_own_namespace()
    unittest.main(verbosity=2)
