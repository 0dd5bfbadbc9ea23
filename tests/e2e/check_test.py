#!/usr/bin/env python3
"""ccloud cmek check: what a user learns of a key before a cluster depends on it, and that nothing changes.

    tests/e2e/check_test.py [BIN_DIR]
"""
import json
import unittest

from harness import BIN, Cluster, Key, host, setUpModule, tearDownModule  # noqa: F401


class Check(unittest.TestCase):
    def check(self, key, *more, ok):
        done = host.run(BIN / 'ccloud', 'cmek', 'check', 'checked', '--cmek-key-spec', key.spec(), *more, ok=False)
        self.assertEqual(done.returncode == 0, ok, done.stdout + done.stderr)
        return done

    def lines(self, key, ok):
        answer = json.loads(self.check(key, '-o', 'json', ok=ok).stdout)
        self.assertEqual(answer['usable'], ok)
        return {step['name']: step for step in answer['regions'][0]['steps']}

    def test_every_line(self):
        cluster = Cluster('checked')
        self.addCleanup(cluster.delete)
        ring = host.node_dir(cluster.info()['id']) / 'store/keyring'
        before = ring.read_bytes()
        good = Key()
        lines = self.lines(good, ok=True)
        for name in ('plan and add-on', 'key spec', 'reach', 'credentials', 'region', 'kms:DescribeKey', 'kms:Encrypt',
                     'kms:GenerateDataKey', 'kms:Decrypt', 'wrap round trip'):
            self.assertEqual(lines[name]['result'], 'PASS', lines[name])
        self.assertGreater(lines['wrap round trip']['micros'], 0)
        for name in ('deletion protection', 'rotation'):
            self.assertEqual(lines[name]['result'], 'WARN')
            self.assertIn('aws kms', lines[name]['message'])
        self.assertIn('PASS  wrap round trip', self.check(good, ok=True).stdout)
        for action in ('kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'):
            good.grant(without=action)
            lines = self.lines(good, ok=False)
            self.assertEqual(lines[action]['result'], 'FAIL')
            self.assertIn('"Action"', lines[action]['message'])
        good.grant()
        good.aws('disable-key')
        self.assertEqual(self.lines(good, ok=False)['key state']['cause'], 'KMS_DISABLED')
        said = self.check(good, ok=False)
        self.assertIn('FAIL  key state', said.stdout)
        self.assertIn('nothing was changed', said.stderr)
        self.assertEqual(self.lines(Key(region='eu-west-1'), ok=False)['key spec']['result'], 'FAIL')
        self.assertEqual(ring.read_bytes(), before)
        self.assertEqual(cluster.info()['cmek_config']['status'], 'DISABLED')
        missing = host.run(BIN / 'ccloud', 'cmek', 'check', 'nobody', '--cmek-key-spec', good.spec(), ok=False)
        self.assertNotEqual(missing.returncode, 0)


if __name__ == '__main__':
    unittest.main(verbosity=2)
