#!/usr/bin/env python3
"""MariaDB on a mounted store: a mount that is killed under it, power that is cut, and no acknowledged commit lost.

    mariadb_test.py STORE_MOUNT_HELPER [ROUNDS]

InnoDB asks of a file system what neither PostgreSQL nor SQLite does: it reads and writes its tables with O_DIRECT. Each round
writes by several sessions, kills the mount or the server or cuts the power at an instant of its own, lets InnoDB recover, and looks
at what is left. Skipped where MariaDB (apt-get install mariadb-server) is not installed, or no loop device is there.
"""
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import killed  # first: it leads to the next
import disk

HELPER = sys.argv.pop(1)
ROUNDS = int(sys.argv.pop(1)) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 4
WRITERS = 3
SERVER = shutil.which('mariadbd', path='/usr/sbin')

WRITER = '''
import random, subprocess, sys
socket, writer, row = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = subprocess.Popen(["mariadb", "--no-defaults", "-u", "root", "-S", socket, "-N", "-B", "--unbuffered", "load_test"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
while True:
    body = random.randbytes(random.randrange(1, 9000)).hex()
    client.stdin.write(f"BEGIN; INSERT INTO t VALUES ({writer}, {row}, x\'{body}\');"
                       f"UPDATE t SET body = concat(body, 'u') WHERE writer = {writer} AND number = {row - random.randrange(1, 40)};"
                       f"DELETE FROM t WHERE writer = {writer} AND number = {row - 500}; COMMIT; SELECT {row};\\n")
    client.stdin.flush()
    line = client.stdout.readline()
    if int(line) != row: raise SystemExit("MariaDB answered " + line)
    print(row, flush=True)
    row += 1
'''


class Server:
    def __init__(self, base, data):
        self.base, self.data, self.socket = base, data, str(base / 'socket')
        subprocess.run(['mariadb-install-db', '--no-defaults', f'--datadir={data}', '--user=root', '--skip-test-db',
                        '--auth-root-authentication-method=normal'], check=True, capture_output=True)

    def start(self):
        with open(self.base / 'server.log', 'a') as log:
            self.process = subprocess.Popen(
                [SERVER, '--no-defaults', f'--datadir={self.data}', f'--socket={self.socket}', f'--pid-file={self.base}/pid',
                 '--skip-networking', '--user=root', '--innodb-buffer-pool-size=16M', '--innodb-log-file-size=8M'], stdout=log, stderr=log)
        deadline = time.monotonic() + 180
        while self.client('SELECT 1').returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError('MariaDB does not start: ' + (self.base / 'server.log').read_text()[-2000:])
            time.sleep(0.1)

    def client(self, sql):
        return subprocess.run(['mariadb', '--no-defaults', '-u', 'root', '-S', self.socket, '-N', '-B', '-e', sql], capture_output=True,
                              text=True)

    def sql(self, sql):
        done = self.client(sql)
        if done.returncode != 0:
            raise AssertionError(f'{sql}: {done.stderr}')
        return [line.split('\t') for line in done.stdout.splitlines()]

    def kill(self):
        self.process.kill()
        self.process.wait()


@unittest.skipUnless(SERVER, 'MariaDB is not installed')
class MariaDbTest(unittest.TestCase):
    def setUp(self):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix='keyhold-mariadb-', dir='/var/tmp'))
        self.mount = killed.Mount(HELPER, self.base, disk_size='1G')
        self.server = Server(self.base, self.mount.dir / 'data')
        self.server.start()

    def tearDown(self):
        self.server.kill()
        self.mount.close()
        shutil.rmtree(self.base)

    def look(self, acknowledged):
        """What is there, after InnoDB's own recovery: whole, and each writer's rows up to the last acknowledged one."""
        self.assertEqual(self.server.sql('CHECK TABLE load_test.t EXTENDED')[-1][-1], 'OK')
        last = {int(writer): int(row) for writer, row in self.server.sql('SELECT writer, max(number) FROM load_test.t GROUP BY writer')}
        killed.check_last(self, last, acknowledged)
        for writer, row in last.items():
            rows = self.server.sql(f'SELECT count(*) FROM load_test.t WHERE writer = {writer} AND number > {row - 500}')
            self.assertEqual(int(rows[0][0]), min(row + 1, 500), f'rows of writer {writer}')

    def test_no_acknowledged_commit_is_lost(self):
        seed = random.randrange(1 << 32)
        luck = random.Random(seed)
        self.server.sql('CREATE DATABASE load_test; CREATE TABLE load_test.t (writer INT, number INT, body LONGBLOB, '
                        'PRIMARY KEY (writer, number)) ENGINE=InnoDB')
        acknowledged = [-1] * WRITERS
        for number in range(ROUNDS):
            writers = killed.Writers(WRITER, self.server.socket, acknowledged)
            try:
                writers.watch(luck.uniform(0.5, 4))
                (self.mount.kill, self.mount.cut, lambda: None, self.mount.cut)[number % 4]()
                self.server.kill()
            finally:
                writers.end()
            if self.mount.process.poll() is not None:
                self.mount.open()
            self.server.start()
            with self.subTest(seed=seed, round=number):
                self.look(acknowledged)
        print(f'{ROUNDS} rounds: every fourth a kill of the mount, every other a power cut; {sum(acknowledged) + WRITERS} commits: all there', flush=True)


if __name__ == '__main__':
    # Writers that are waited for in vain must not outlive the test.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    disk.enter_own_namespace()
    unittest.main(verbosity=2)
