#!/usr/bin/env python3
"""Another user of the host: what they find closed, and what they may plant. That they see no plaintext is in at_rest_test.py.

    tests/e2e/local_user_test.py [BIN_DIR]
"""
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import BIN, Cluster, Key, host, tearDownModule  # noqa: F401


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest('becomes another user, and so takes root')
    harness.setUpModule()


# Run as the other user, with what to try in its first argument: prints what it could do.
ATTACKER = r'''
import ctypes, json, os, signal, socket, sys
order = json.loads(sys.argv[1])
done = []

def attempt(what, act):
    try:
        act()
        done.append(what)
    except OSError:
        pass

def connect(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)

def read(path):
    with open(path, 'rb') as f:
        f.read(1)

def system(call, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), call)

for path in order['sockets']:
    attempt('connect ' + path, lambda: connect(path))
for path in order['files']:
    attempt('read ' + path, lambda: read(path))
    attempt('append to ' + path, lambda: open(path, 'ab').close())
for path in order['directories']:
    attempt('list ' + path, lambda: os.listdir(path))
    attempt('write in ' + path, lambda: open(path + '/planted', 'x').close())
    attempt('link in ' + path, lambda: os.symlink('/etc/shadow', path + '/linked'))
for pid in order['pids']:
    for name in ('environ', 'mem', 'maps', 'auxv', 'syscall', 'stack'):
        attempt(f'read /proc/{pid}/{name}', lambda: read(f'/proc/{pid}/{name}'))
    for name in ('root', 'cwd', 'exe'):
        attempt(f'follow /proc/{pid}/{name}', lambda: os.readlink(f'/proc/{pid}/{name}'))
    for name in ('fd', 'root/mnt', 'root/mnt/store', 'root/mnt/sockets', 'map_files'):
        attempt(f'list /proc/{pid}/{name}', lambda: os.listdir(f'/proc/{pid}/{name}'))
    attempt(f'attach to {pid}', lambda: system('ptrace', 16, pid, 0, 0))
    attempt(f'signal {pid}', lambda: os.kill(pid, signal.SIGCONT))
    attempt(f'enter {pid}', lambda: system('setns', os.open(f'/proc/{pid}/ns/mnt', os.O_RDONLY), 0))
print(json.dumps(done))
'''


def as_other(user, order):
    """What `user` could do of the order."""
    done = subprocess.run(['setpriv', f'--reuid={user}', f'--regid={user if user != "nobody" else "nogroup"}', '--clear-groups',
                           sys.executable, '-c', ATTACKER, json.dumps(order)], capture_output=True, text=True, cwd='/', timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class LocalUser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster('shared')
        cls.cluster.update(Key())
        cls.dir = host.dir / 'kh'
        cls.node = host.node_dir(cls.cluster.info()['id'])

    @classmethod
    def tearDownClass(cls):
        cls.cluster.delete()

    def below(self):
        """Every file and directory of the host's directory, with its lstat(); what PostgreSQL's user owns is ciphertext."""
        for top, folders, names in os.walk(self.dir):
            for name in folders + names:
                path = pathlib.Path(top, name)
                try:
                    status = path.lstat()
                except FileNotFoundError:  # replaced meanwhile
                    continue
                yield path, status

    def test_everything_is_root_s_and_closed_to_others(self):
        self.assertEqual(stat.S_IMODE(self.dir.stat().st_mode), 0o700)
        # What is not secret: certificates that clients verify with, and whom they grant access to.
        public = {'ca.pem', 'cert.pem', 'principals.json'}
        seen = set()
        for path, status in self.below():
            mode = stat.S_IMODE(status.st_mode)
            seen.add(path.name)
            with self.subTest(path.relative_to(self.dir)):
                self.assertFalse(stat.S_ISLNK(status.st_mode))
                if 'store' in path.relative_to(self.dir).parts:
                    self.assertEqual(mode & 0o022, 0, oct(mode))
                    continue
                self.assertEqual((status.st_uid, status.st_gid), (0, 0))
                self.assertEqual(mode & (0o022 if path.name in public else 0o077), 0, oct(mode))
                self.assertEqual(mode & 0o7000, 0, oct(mode))
        for name in ('env.sh', 'LOCK', 'api-key', 'agent-token', 'keyhold.db', 'platform.key', 'control.sock', 'key.pem', 'server.log',
                     'desired.json', 'cloud.db', 'aws-credentials', 'gcp-key.json', 'azure-client.pem'):
            self.assertIn(name, seen)

    def test_another_user_gets_at_nothing(self):
        pids = [p for kind in ('start', 'localcloud', 'server', 'agent', 'node', 'postgres') for p in host.processes(kind)]
        self.assertGreaterEqual(len(pids), 6)
        node, = host.processes('node')
        order = {'pids': pids, 'sockets': [], 'files': [], 'directories': [str(self.dir), '/mnt/store', '/mnt/sockets']}
        for path, status in self.below():
            kind = 'sockets' if stat.S_ISSOCK(status.st_mode) else 'directories' if stat.S_ISDIR(status.st_mode) else 'files'
            order[kind].append(str(path))
        order['sockets'] += ['/mnt/sockets/.s.PGSQL.5432', f'/proc/{node}/root/mnt/sockets/.s.PGSQL.5432']
        order['files'] = order['files'][:200]
        self.assertGreater(len(order['sockets']), 2)
        self.assertEqual(as_other('nobody', order), [])

    def test_the_attacker_of_this_test_can_do_what_is_not_closed(self):
        """So that nothing done means that it was refused."""
        with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
            os.chmod(folder, 0o777)
            pathlib.Path(folder, 'file').write_text('x')
            os.chmod(pathlib.Path(folder, 'file'), 0o666)
            own = subprocess.Popen(['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', 'cat'], stdin=subprocess.PIPE)
            try:
                done = as_other('nobody', {'pids': [own.pid], 'sockets': [], 'files': [f'{folder}/file'], 'directories': [folder]})
            finally:
                own.communicate()
            for what in (f'read {folder}/file', f'append to {folder}/file', f'list {folder}', f'write in {folder}', f'link in {folder}',
                         f'read /proc/{own.pid}/environ', f'follow /proc/{own.pid}/root', f'signal {own.pid}'):
                self.assertIn(what, done)

    def test_without_a_key_the_ports_give_nothing(self):
        path = f'/api/v1/clusters/{self.cluster.info()["id"]}'
        for bearer in ('Bearer ', 'Bearer CCDB1_x', 'Basic cm9vdDo='):
            for method, target in (('GET', path), ('GET', '/api/v1/clusters'), ('PATCH', f'{path}/cmek'), ('GET', '/agent/v1/work?host=h')):
                status, _ = host.call(method, target, b'{}' if method == 'PATCH' else None, {'Authorization': bearer})
                self.assertEqual(status, 401, (bearer, method, target))
        _, metrics = host.call('GET', '/metrics')
        self.assertNotIn(b'shared', metrics, 'metrics name clusters by their ids')

    def test_cores_are_off_and_memory_is_closed_where_keys_are(self):
        for kind in ('node', 'server', 'localcloud'):
            for pid in host.processes(kind):
                status = pathlib.Path(f'/proc/{pid}/status').read_text()
                self.assertRegex(pathlib.Path(f'/proc/{pid}/limits').read_text(), r'Max core file size +0 +0')
                if kind != 'localcloud':
                    self.assertRegex(status, r'VmLck:\s+[1-9]')

    def test_a_start_refuses_what_others_may_have_planted(self):
        def start(folder):
            done = subprocess.run([BIN / 'keyhold', 'start', '--dir', folder, '--background'], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertNotIn('ready', done.stdout)
            return done.stderr

        with tempfile.TemporaryDirectory(dir='/var/tmp') as top:
            theirs, shared, target = (pathlib.Path(top, name) for name in ('theirs', 'shared', 'target'))
            for folder in (theirs, shared, target):
                folder.mkdir(mode=0o700)
            os.chown(theirs, 65534, 65534)
            self.assertIn('belongs to another user', start(theirs))
            os.chmod(shared, 0o1777)
            self.assertIn('may be written to by other users', start(shared))
            link = pathlib.Path(top, 'link')
            link.symlink_to(target)
            os.lchown(link, 65534, 65534)
            self.assertIn('belongs to another user', start(link))
            for folder in (theirs, shared, target):
                self.assertEqual(os.listdir(folder), [])


if __name__ == '__main__':
    unittest.main(verbosity=2)
