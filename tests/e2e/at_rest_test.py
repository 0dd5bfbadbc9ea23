#!/usr/bin/env python3
"""At rest there is nothing to read: neither rows nor keys on the disk, in core files, logs, arguments or environments.

    tests/e2e/at_rest_test.py [BIN_DIR]
"""
import base64
import configparser
import mmap
import os
import pathlib
import signal
import struct
import subprocess
import unittest
import uuid

from harness import Cluster, Key, host, setUpModule, tearDownModule  # noqa: F401

WORD = 'Marker' + uuid.uuid4().hex


def files_below(*dirs):
    for top in dirs:
        for folder, _, names in os.walk(top):
            for name in names:
                path = pathlib.Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    yield path


def holding(needles, *dirs):
    """The files below the directories that hold any of the byte strings, names included."""
    found = []
    for path in files_below(*dirs):
        if any(n in os.fsencode(path) for n in needles):
            found.append(path)
        if path.stat().st_size == 0:
            continue
        with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            if any(raw.find(n) >= 0 for n in needles):
                found.append(path)
    return found


class KeyRing:
    """As much of docs/formats/keyring.md as it takes to ask the KMS for the store key."""

    def __init__(self, path):
        self.raw, self.at = path.read_bytes(), 36
        assert self.raw[:8] == b'KHKEYRNG'
        self.cluster, self.region, self.store = self.text().decode(), self.text().decode(), self.text().decode()
        self.at += 1  # its type
        self.uri, _ = self.text().decode(), self.text()
        self.at += 8 + 8 + 4
        self.wrapped = self.text()

    def text(self):
        size, = struct.unpack_from('<H', self.raw, self.at)
        self.at += 2 + size
        return self.raw[self.at - size:self.at]

    def store_key(self):
        """The store key in clear, asked of the KMS as the platform does."""
        profile = configparser.ConfigParser()
        profile.read(host.dir / 'kh/localcloud/platform/aws-credentials')
        env = dict(host.env, AWS_ACCESS_KEY_ID=profile['default']['aws_access_key_id'],
                   AWS_SECRET_ACCESS_KEY=profile['default']['aws_secret_access_key'])
        context = f'keyhold:cluster={self.cluster},keyhold:region={self.region},keyhold:store={self.store}'
        with open(host.dir / 'wrapped', 'wb') as file:
            file.write(self.wrapped)
        answer = subprocess.run(['aws', 'kms', 'decrypt', '--key-id', self.uri, '--ciphertext-blob', f'fileb://{host.dir}/wrapped',
                                 '--encryption-context', context, '--query', 'Plaintext', '--output', 'text'], env=env,
                                check=True, capture_output=True, text=True).stdout
        return base64.b64decode(answer)


class AtRest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster('dark')
        cls.cluster.update(Key())
        cls.cluster.sql(f"CREATE TABLE secrets (v STRING); INSERT INTO secrets SELECT '{WORD}' || g FROM generate_series(1, 20000) g")
        cls.cluster.sql(f"SET work_mem = '64kB'; SELECT v FROM secrets ORDER BY v DESC OFFSET 19999; UPDATE secrets SET v = v || '{WORD}'")
        cls.cluster.sql('VACUUM FULL secrets')
        cls.cluster.sql('CREATE INDEX ON secrets (v)')
        cls.cluster.sql(f"INSERT INTO secrets VALUES ('{WORD}', 'too many')", ok=False)
        cls.cluster.sql(f"SELECT '{WORD}'::int", ok=False)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.delete()

    def services(self):
        pids = [p for kind in ('start', 'localcloud', 'server', 'agent', 'node', 'postgres') for p in host.processes(kind)]
        self.assertGreaterEqual(len(pids), 6)
        return pids

    def test_no_row_on_the_disk(self):
        needles = [WORD.encode(), WORD.encode('utf-16-le')]
        self.assertEqual(holding(needles, host.dir, '/tmp', '/var/log'), [])

    def test_no_row_on_the_disk_of_a_locked_or_stopped_cluster(self):
        key = Key()
        self.cluster.update(key)
        key.aws('disable-key')
        self.cluster.await_sql(False, 10)
        self.assertEqual(holding([WORD.encode()], host.dir, '/tmp'), [])
        key.aws('enable-key')
        self.cluster.await_sql(True, 30)
        host.stop()
        self.assertEqual(holding([WORD.encode()], host.dir, '/tmp'), [])
        host.start()
        self.cluster.await_sql(True, 30)

    def test_no_store_key_on_the_disk(self):
        ring = KeyRing(host.node_dir(self.cluster.info()['id']) / 'store/keyring')
        key = ring.store_key()
        self.assertEqual(len(key), 32)
        for size in (32, 16):  # halves too: a key schedule starts with them
            part = key[:size]
            needles = [part, part.hex().encode(), part.hex().upper().encode(), base64.b64encode(part).rstrip(b'=')[:-1]]
            self.assertEqual(holding(needles, host.dir, '/tmp'), [])

    def test_no_secret_in_arguments_and_environments(self):
        platform = (host.dir / 'kh/localcloud/platform/aws-credentials').read_text()
        secrets = [line.split('=', 1)[1].strip().encode() for line in platform.splitlines() if 'secret' in line]
        secrets += [host.env['COCKROACH_API_KEY'].encode(), host.env['AWS_SECRET_ACCESS_KEY'].encode(), b'correct-horse-battery',
                    WORD.encode()]
        secrets.append((host.dir / 'kh/server/agent-token').read_bytes().strip())
        for pid in self.services():
            for place in ('cmdline', 'environ'):
                text = pathlib.Path(f'/proc/{pid}/{place}').read_bytes()
                self.assertEqual([s for s in secrets if s in text], [], f'{place} of {text[:80]}')

    def test_no_secret_in_a_log(self):
        secrets = [host.env['COCKROACH_API_KEY'].encode(), host.env['AWS_SECRET_ACCESS_KEY'].encode(), b'correct-horse-battery']
        self.assertEqual(holding(secrets, host.dir / 'kh/log'), [])

    def test_no_core_file(self):
        for pid in self.services():
            limits = pathlib.Path(f'/proc/{pid}/limits').read_text()
            core = next(line for line in limits.splitlines() if line.startswith('Max core file size'))
            self.assertEqual(core.split()[4], '0', f'{pid}: {core}')
        before = set(files_below(host.dir))
        for pid in host.processes('node'):
            os.kill(pid, signal.SIGABRT)
        self.cluster.await_sql(True, 60)
        self.assertEqual([f for f in set(files_below(host.dir)) - before if 'core' in f.name], [])

    def test_other_users_see_no_plaintext(self):
        node, = host.processes('node')
        tries = (f'ls {host.dir}/kh', f'ls /proc/{node}/root/mnt/store', f'cat /proc/{node}/environ', f'cat /proc/{node}/maps',
                 'ls /mnt/store/data', f'head -c 1 /proc/{node}/mem')
        for user in ('nobody', 'postgres'):
            for command in tries:
                done = subprocess.run(['setpriv', f'--reuid={user}', '--clear-groups', 'sh', '-c', command], capture_output=True)
                self.assertNotEqual(done.returncode, 0, f'{user}: {command}: {done.stdout[:200]}')


if __name__ == '__main__':
    unittest.main(verbosity=2)
