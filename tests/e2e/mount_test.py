#!/usr/bin/env python3
"""keyhold mount, umount and store, as a user has them: against the local cloud, under a key in AWS KMS."""
import concurrent.futures
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import unittest

from harness import BIN, Key, host, setUpModule, tearDownModule  # noqa: F401

NOBODY = 65534
KEYHOLD = BIN / 'keyhold'


class Mounted:
    """A store and where it is mounted."""

    def __init__(self, name, key):
        self.store = host.dir / f'{name}-store'
        self.point = host.dir / f'{name}-mount'
        self.point.mkdir()
        host.dir.chmod(0o755)
        self.spec = host.dir / f'{name}-spec.json'
        # As whoever the environment's credentials are: here the customer.
        self.spec.write_text(json.dumps({'type': 'AWS_KMS', 'uri': key.arn}))

    def mount(self, ok=True):
        return host.run(KEYHOLD, 'mount', self.store, self.point, '--cmek-key-spec', f'@{self.spec}', '--background', ok=ok)

    def foreground(self):
        process = subprocess.Popen([KEYHOLD, 'mount', self.store, self.point, '--cmek-key-spec', f'@{self.spec}'],
                                   stdout=subprocess.PIPE, text=True, env=host.env)
        line = process.stdout.readline()
        if not line.startswith('ready'):
            raise AssertionError(f'not ready: {line}')
        return process

    def command(self, command, *words, ok=True):
        return host.run(KEYHOLD, 'store', command, self.store, *words, '--cmek-key-spec', f'@{self.spec}', ok=ok)

    def is_mounted(self):
        return os.path.ismount(self.point)

    def umount(self, *program):
        host.run(*(program or (KEYHOLD, 'umount')), self.point)


class MountTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.key = Key()

    def place(self):
        placed = Mounted(self.id().rsplit('.', 1)[-1], self.key)
        self.addCleanup(subprocess.run, ['umount', '-l', placed.point], stderr=subprocess.DEVNULL)
        return placed

    def test_made_used_by_others_unmounted_and_there_again(self):
        placed = self.place()
        self.assertIn('ready', placed.mount().stdout)
        self.assertTrue(placed.is_mounted())
        public = placed.point / 'public'
        public.mkdir()
        public.chmod(0o777)
        (placed.point / 'secret').write_text('for root alone')
        (placed.point / 'secret').chmod(0o600)
        wrote = subprocess.run(['sh', '-c', f'echo from nobody > {public}/f && ! cat {placed.point}/secret'],
                               user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True)
        self.assertEqual(wrote.returncode, 0, wrote.stderr)
        self.assertIn('Permission denied', wrote.stderr)
        for end in (('umount',), (KEYHOLD, 'umount')):
            placed.umount(*end)
            self.assertFalse(placed.is_mounted())
            self.assertEqual(list(placed.point.iterdir()), [])
            placed.mount()
            self.assertEqual((public / 'f').read_text(), 'from nobody\n')
            self.assertEqual((public / 'f').stat().st_uid, NOBODY)
        placed.umount()
        for path in placed.store.rglob('*'):
            self.assertNotIn('public', path.name)
            if path.is_file():
                self.assertNotIn(b'from nobody', path.read_bytes())

    def test_sigterm_writes_back_and_unmounts(self):
        placed = self.place()
        process = placed.foreground()
        (placed.point / 'f').write_text('x' * 1_000_000)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        self.assertFalse(placed.is_mounted())
        placed.mount()
        self.assertEqual((placed.point / 'f').read_text(), 'x' * 1_000_000)
        placed.umount()

    def test_whoever_has_the_lock_has_the_key_ring_to_himself(self):
        placed = self.place()
        process = placed.foreground()
        (placed.point / 'f').write_text('x' * 100_000)
        ring = placed.store / 'keyring'
        before = ring.read_bytes()
        store = os.open(placed.store, os.O_RDONLY)
        self.addCleanup(os.close, store)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            locked = pool.submit(lambda: (fcntl.flock(store, fcntl.LOCK_EX), ring.read_bytes()))
            process.send_signal(signal.SIGTERM)
            at_lock = locked.result()[1]
        self.assertFalse(at_lock == before, 'what was sealed was not settled')
        self.assertEqual(process.wait(60), 0)
        self.assertTrue(ring.read_bytes() == at_lock, 'the key ring was written by one who had let go of the lock')

    def test_busy_mounts_and_wrong_places_are_told(self):
        placed = self.place()
        placed.mount()
        with open(placed.point / 'f', 'w'):
            busy = host.run(KEYHOLD, 'umount', placed.point, ok=False)
            self.assertNotEqual(busy.returncode, 0)
            self.assertIn('is busy', busy.stderr)
        twice = placed.mount(ok=False)
        self.assertNotEqual(twice.returncode, 0)
        self.assertIn('in use by another process', twice.stderr)
        for command in ('verify', 'ls'):
            refused = placed.command(command, ok=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn('is it mounted?', refused.stderr)
        placed.umount()
        again = host.run(KEYHOLD, 'umount', placed.point, ok=False)
        self.assertIn('nothing is mounted at', again.stderr)
        full = host.dir / 'not-empty'
        full.mkdir()
        (full / 'x').write_text('mine')
        refused = host.run(KEYHOLD, 'mount', full, placed.point, '--cmek-key-spec', f'@{placed.spec}', ok=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn('neither a store nor empty', refused.stderr)
        self.assertEqual(sorted(p.name for p in full.iterdir()), ['x'])

    def test_without_its_key_it_does_not_open(self):
        key = Key()
        placed = Mounted('disabled', key)
        self.addCleanup(subprocess.run, ['umount', '-l', placed.point], stderr=subprocess.DEVNULL)
        placed.mount()
        (placed.point / 'f').write_text('kept')
        placed.umount()
        key.aws('disable-key')
        refused = placed.mount(ok=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(key.arn, refused.stderr)
        self.assertIn('disabled', refused.stderr)
        self.assertFalse(placed.is_mounted())
        other = Key()
        wrong = host.run(KEYHOLD, 'mount', placed.store, placed.point, '--cmek-key-spec', other.spec(), ok=False)
        self.assertIn(f'is under the key {key.arn}', wrong.stderr)
        key.aws('enable-key')
        placed.mount()
        self.assertEqual((placed.point / 'f').read_text(), 'kept')
        placed.umount()

    def test_store_commands(self):
        placed = self.place()
        placed.command('create')
        self.assertIn('is a store already', placed.command('create', ok=False).stderr)
        placed.mount()
        (placed.point / 'folder').mkdir()
        (placed.point / 'folder/f').write_bytes(b'content' * 10_000)
        (placed.point / 'g').write_text('g')
        placed.umount()
        info = json.loads(host.run(KEYHOLD, 'store', 'info', placed.store, '--json').stdout)
        self.assertEqual(info['cmek_key_uri'], self.key.arn)
        self.assertFalse(info['authenticated'])
        self.assertIn('folder', placed.command('ls').stdout)
        self.assertIn('70000', placed.command('ls', '/folder').stdout)
        self.assertEqual(placed.command('cat', 'folder/f').stdout, 'content' * 10_000)
        self.assertTrue(placed.command('du', '/').stdout.startswith('70001\t'))
        self.assertIn('No such file', placed.command('cat', '/absent', ok=False).stderr)
        status = json.loads(placed.command('status', '--json').stdout)
        self.assertEqual([use['data_key'] for use in status['data_keys']], [1])
        done = json.loads(placed.command('reencrypt', '--new-data-key', '--json').stdout)
        self.assertEqual(done['destroyed_data_keys'], [1])
        self.assertEqual([use['data_key'] for use in done['data_keys']], [2])
        self.assertEqual(done['files'], 2)
        states = {key['id']: key['state'] for key in json.loads(placed.command('info', '--json').stdout)['data_keys']}
        self.assertEqual(states, {1: 'destroyed', 2: 'active'})
        self.assertEqual(json.loads(placed.command('verify', '--json').stdout)['damaged'], 0)
        placed.mount()
        self.assertEqual((placed.point / 'folder/f').read_bytes(), b'content' * 10_000)
        placed.umount()
        damaged = next(p for p in placed.store.rglob('*') if p.is_file() and p.stat().st_size > 70_000)
        with open(damaged, 'r+b') as file:
            file.seek(3 * 4096 + 100)
            file.write(b'?')
        verified = placed.command('verify', ok=False)
        self.assertNotEqual(verified.returncode, 0)
        self.assertIn('block 2 does not authenticate', verified.stdout)
        self.assertIn('1 places do not authenticate', verified.stderr)

    def test_a_store_without_its_register_is_accepted_as_it_is(self):
        key = Key()
        placed = Mounted('accepted', key)
        self.addCleanup(subprocess.run, ['umount', '-l', placed.point], stderr=subprocess.DEVNULL)
        placed.mount()
        (placed.point / 'f').write_text('kept')
        placed.umount()
        (placed.store / 'register').write_bytes(b'damaged' * 1000)
        self.assertIn("the store's register", placed.mount(ok=False).stderr)
        asked = placed.command('accept-restored', ok=False)
        self.assertIn('counts as the latest from then on', asked.stderr)
        key.aws('disable-key')
        self.assertIn('disabled', placed.command('accept-restored', '--yes', ok=False).stderr)
        self.assertEqual((placed.store / 'register').read_bytes(), b'damaged' * 1000)
        key.aws('enable-key')
        accepted = json.loads(placed.command('accept-restored', '--yes', '--json').stdout)
        self.assertEqual((accepted['had_register'], accepted['files'], accepted['damaged']), (False, 1, 0))
        placed.mount()
        self.assertEqual((placed.point / 'f').read_text(), 'kept')
        self.assertIn('is it mounted?', placed.command('accept-restored', '--yes', ok=False).stderr)
        placed.umount()
        self.assertEqual(json.loads(placed.command('verify', '--json').stdout)['missing'], 0)


if __name__ == '__main__':
    unittest.main(verbosity=2)
