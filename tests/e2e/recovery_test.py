#!/usr/bin/env python3
"""Break-glass, end to end: a recovery key is shared, the KMS key is lost, people open the store, and every row is there.

    tests/e2e/recovery_test.py [BIN_DIR]        default: build/bin
"""
import fcntl
import json
import os
import pathlib
import shutil
import unittest
import urllib.request

from harness import BIN, Cluster, Key, await_that, host, setUpModule, tearDownModule  # noqa: F401

PEOPLE = ('maya', 'jonas', 'ines')


class Recovery(unittest.TestCase):
    def setUp(self):
        self.files = host.dir / f'shares-{self.id().split(".")[-1]}'
        self.files.mkdir()
        self.cluster = Cluster(self.id().split('.')[-1].replace('_', '-')[:20].rstrip('-'))
        self.addCleanup(self.cluster.delete)
        self.key = Key()
        self.cluster.update(self.key)
        self.cluster.sql('CREATE TABLE receipts (id INT PRIMARY KEY, data STRING)')
        self.cluster.sql("INSERT INTO receipts SELECT g, 'r' || g FROM generate_series(1, 1000) g")

    def file(self, name):
        return self.files / name

    def create(self, *more, prefix=''):
        words = ['--threshold', '2', '--recovery-file', self.file(prefix + 'file')]
        for name in PEOPLE:
            words += ['--share-to', self.file(prefix + name)]
        return host.run(BIN / 'ccloud', 'cluster', 'cmek', 'recovery', 'create', self.cluster.name, *words, *more)

    def recover(self, key, *people, prefix='', ok=True, node=None):
        spec = self.file('key.json')
        spec.write_text(json.dumps({'type': 'AWS_KMS', 'uri': key.arn}))
        node = node or host.node_dir(self.cluster.info()['id'])
        words = [word for name in people for word in ('--share', self.file(prefix + name))]
        return host.run(BIN / 'keyhold', 'store', 'recover', node, '--recovery-file', self.file(prefix + 'file'), *words,
                        '--cmek-key-spec', f'@{spec}', ok=ok)

    def lose(self, key):
        key.aws('schedule-key-deletion', '--pending-window-in-days', '7')
        self.await_closed()

    def await_closed(self):
        """Until no process has the store's lock: a node that locks still writes its key ring."""
        def is_closed():
            store = os.open(host.node_dir(self.cluster.info()['id']) / 'store', os.O_RDONLY)
            try:
                fcntl.flock(store, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False
            finally:
                os.close(store)
        await_that(is_closed, 'closed')

    def rows(self):
        return self.cluster.sql("SELECT count(*), count(DISTINCT id), min(data), max(id) FROM receipts").stdout.strip()

    def used_events(self):
        events = host.json(BIN / 'ccloud', 'audit', 'list', '-o', 'json')
        return [e for e in events if 'recovery_used' in e['payload'] and e['cluster_id'] == self.cluster.info()['id']]

    def metric(self):
        with urllib.request.urlopen(host.env['COCKROACH_SERVER'] + '/metrics') as answer:
            lines = answer.read().decode().splitlines()
        mine = [x for x in lines if x.startswith('keyhold_node_recovery_used{') and self.cluster.info()['id'] in x]
        return [x.split()[-1] for x in mine]

    def test_a_lost_key_is_survived(self):
        self.create()
        for name in PEOPLE + ('file',):
            self.assertEqual(self.file(name).stat().st_mode & 0o7777, 0o600)
        self.assertEqual(self.metric(), ['0'])
        newer = Key()
        refused = self.recover(newer, 'maya', 'ines', ok=False)
        self.assertNotEqual(refused.returncode, 0, 'it is served')
        self.assertIn('in use', refused.stderr)
        self.cluster.update(Key())  # a rotation keeps it
        key = host.json(BIN / 'ccloud', 'cluster', 'cmek', 'get', self.cluster.name, '-o', 'json')
        uri = key['region_infos'][0]['key_infos'][0]['spec']['uri']
        host.run('aws', 'kms', 'schedule-key-deletion', '--key-id', uri, '--pending-window-in-days', '7', '--region', 'us-east-1')
        self.await_closed()
        self.assertEqual(self.cluster.info()['state'], 'LOCKED')

        few = self.recover(newer, 'maya', ok=False)
        self.assertNotEqual(few.returncode, 0)
        self.assertIn('2 shares are needed, and 1 given', few.stderr)
        twice = self.recover(newer, 'maya', 'maya', ok=False)
        self.assertIn('was given already', twice.stderr)
        secret = self.file('maya').read_text()
        self.file('bad').write_text(secret.replace('secret: ', 'secret: 0'))
        self.assertIn('damaged', self.recover(newer, 'bad', 'ines', ok=False).stderr)
        denied = Key(grant=False)
        denied.aws('disable-key')
        self.assertNotEqual(self.recover(denied, 'maya', 'ines', ok=False).returncode, 0, 'the new key must work')
        self.assertEqual(self.cluster.info()['state'], 'LOCKED')

        said = self.recover(newer, 'maya', 'ines')
        self.assertIn(newer.arn, said.stdout)
        self.cluster.await_sql(True, 60)
        self.assertEqual(self.rows(), '1000|1000|r1|1000')
        info = self.cluster.info()
        self.assertEqual(info['state'], 'CREATED')
        self.assertEqual(info['cmek_config']['key_spec']['uri'], newer.arn)
        self.assertEqual(info['warning']['cause'], 'RECOVERY_USED')
        text = host.run(BIN / 'ccloud', 'cluster', 'info', self.cluster.name).stdout
        self.assertTrue(text.startswith('Warning: the recovery key was used'), text)
        self.assertIn('USED in us-east-1', text)
        self.assertIn('USED in us-east-1', host.run(BIN / 'ccloud', 'cluster', 'cmek', 'get', self.cluster.name).stdout)
        events = self.used_events()
        self.assertEqual(len(events), 1)
        self.assertEqual(json.loads(events[0]['payload'])['recovery_used']['key_uri'], newer.arn)
        self.assertEqual(self.metric(), ['1'])

        # Under the new key alone, with PUT answered as ever; the warning goes with another recovery key.
        newer.aws('disable-key')
        self.cluster.await_sql(False, 10)
        newer.aws('enable-key')
        self.cluster.await_sql(True, 60)
        last = Key()
        self.cluster.update(last)
        self.create('--replace', prefix='second-')
        await_that(lambda: 'warning' not in self.cluster.info(), 'no warning any more')
        self.lose(last)
        self.assertIn('sealed to the recovery key', self.recover(Key(), 'maya', 'ines', ok=False).stderr)
        self.recover(Key(), 'jonas', 'maya', prefix='second-')
        self.cluster.await_sql(True, 60)
        self.assertEqual(self.rows(), '1000|1000|r1|1000')
        self.assertEqual(len(self.used_events()), 2)
        self.assert_nothing_secret_is_around()

    def assert_nothing_secret_is_around(self):
        """No share, and no key that they give, is in a log, the server's database or a process."""
        secrets = [line.split(': ')[1].encode() for name in PEOPLE for prefix in ('', 'second-')
                   for line in self.file(prefix + name).read_text().splitlines() if line.startswith('secret: ')]
        self.assertEqual(len(secrets), 6)
        places = [p for p in (host.dir / 'kh').rglob('*') if p.is_file()]
        places += [p for pid in os.listdir('/proc') if pid.isdigit() for p in (pathlib.Path(f'/proc/{pid}/cmdline'), pathlib.Path(f'/proc/{pid}/environ'))]
        for place in places:
            try:
                content = place.read_bytes()
            except OSError:
                continue
            for secret in secrets:
                self.assertNotIn(secret, content, place)
            if '/proc/' not in str(place) and '/store/' not in str(place) and '/localcloud/' not in str(place) and 'tls' not in str(place):
                self.assertNotIn(b'PRIVATE KEY', content, place)

    def test_deleted_there_is_no_way_in(self):
        self.create()
        host.run(BIN / 'ccloud', 'cluster', 'cmek', 'recovery', 'delete', self.cluster.name, '--yes')
        self.lose(self.key)
        refused = self.recover(Key(), 'maya', 'ines', ok=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn('has no recovery key', refused.stderr)
        self.assertEqual(self.used_events(), [])
        self.key.aws('cancel-key-deletion')
        self.key.aws('enable-key')
        self.cluster.await_sql(True, 60)

    def test_an_older_ring_is_not_recovered(self):
        self.create()
        ring = host.node_dir(self.cluster.info()['id']) / 'store/keyring'
        shutil.copy(ring, self.file('ring'))
        other = Key()
        self.cluster.update(other)
        self.lose(other)
        latest = self.file('latest')
        shutil.copy(ring, latest)
        shutil.copy(self.file('ring'), ring)
        self.assertIn('older copy', self.recover(Key(), 'maya', 'ines', ok=False).stderr)
        shutil.copy(latest, ring)
        self.recover(Key(), 'maya', 'ines')
        self.cluster.await_sql(True, 60)
        self.assertEqual(self.rows(), '1000|1000|r1|1000')


if __name__ == '__main__':
    unittest.main(verbosity=2)
