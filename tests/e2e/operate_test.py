#!/usr/bin/env python3
"""What an operator sets and proves of a cluster's CMEK: its grace without a KMS, and a drill."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import BIN, Cluster, Key, host, setUpModule, tearDownModule  # noqa: E402,F401

CCLOUD = BIN / 'ccloud'


def ccloud(*words, ok=True):
    return host.run(CCLOUD, *words, ok=ok)


class OperateTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster('ops')
        cls.key = Key()
        cls.cluster.update(cls.key)
        cls.cluster.sql('CREATE TABLE t (n INT); INSERT INTO t VALUES (42)')

    def silence(self):
        """The KMS does not answer; until the end of the test at most."""
        for pid in host.processes('localcloud'):
            os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.answer)

    def answer(self):
        for pid in host.processes('localcloud'):
            os.kill(pid, signal.SIGCONT)

    def test_1_a_cluster_without_grace_locks_when_its_kms_is_silent(self):
        self.assertIn('KMS Unreachable: serve on for 15m, then lock (the server\'s default)',
                      ccloud('cluster', 'cmek', 'get', 'ops').stdout)
        self.assertIn('KMS Unreachable: lock\n',
                      ccloud('cluster', 'cmek', 'policy', 'set', 'ops', '--unreachable', 'lock').stdout)
        self.assertIn('kms unreachable: lock', ccloud('cluster', 'info', 'ops').stdout)
        self.silence()
        _, said = self.cluster.await_sql(serves=False, within=60)
        self.assertIn(self.key.arn, said)
        self.assertEqual(self.cluster.info()['lock']['cause'], 'KMS_UNREACHABLE')
        self.answer()
        self.cluster.await_sql(serves=True, within=60)
        self.assertEqual(self.cluster.sql('SELECT n FROM t').stdout.strip(), '42')
        ccloud('cluster', 'cmek', 'policy', 'set', 'ops', '--unreachable', 'serve:1h')
        refused = ccloud('cluster', 'cmek', 'policy', 'set', 'ops', '--unreachable', 'serve:1y', ok=False)
        self.assertIn('serve:DURATION', refused.stderr)
        self.assertEqual(self.cluster.info()['cmek_config']['policy'], {'unreachable': 'serve:1h', 'is_default': False})

    def test_2_a_drill_proves_it_on_a_clone(self):
        kept = json.loads(ccloud('cmek', 'drill', 'ops', '-o', 'json').stdout)
        report = kept['report']
        self.assertTrue(report['passed'])
        steps = {step['name']: step for step in report['steps']}
        self.assertIn('was revoked', steps['revocation locks']['regions'][0]['sql_refused_with'])
        self.assertLess(steps['revocation locks']['seconds'], 30)
        self.assertEqual([s['passed'] for s in report['steps']], [True] * 6)
        verified = subprocess.run(['openssl', 'dgst', '-sha256', '-verify', kept['public_key'], '-signature', kept['signature'],
                                   kept['path']], capture_output=True, text=True)
        self.assertEqual(verified.stdout, 'Verified OK\n', verified.stderr)
        self.assertEqual([c['name'] for c in host.json(CCLOUD, 'cluster', 'list', '-o', 'json')], ['ops'])
        self.assertEqual(self.cluster.sql('SELECT n FROM t').stdout.strip(), '42')
        print(f'drill: {[(s["name"], round(s["seconds"], 2)) for s in report["steps"]]}', file=sys.stderr)

    def test_2b_a_drill_by_the_kms_itself(self):
        drill = Key()
        aws = f'aws kms {{}}-key --key-id {drill.id} --region {drill.region}'
        kept = json.loads(ccloud('cmek', 'drill', 'ops', '--cmek-key-spec', drill.spec(), '--revoke-with', aws.format('disable'),
                                 '--restore-with', aws.format('enable'), '-o', 'json').stdout)
        steps = {step['name']: step for step in kept['report']['steps']}
        self.assertIn(drill.arn, steps['revocation locks']['regions'][0]['sql_refused_with'])
        self.assertTrue(steps['restoration returns']['passed'])

    def test_3_a_drill_on_the_cluster_itself_leaves_it_as_it_was(self):
        shown = ccloud('cmek', 'drill', 'ops', '--on-cluster', '--yes').stdout
        self.assertIn('PASS  revocation locks', shown)
        self.assertIn('PASS  restoration returns', shown)
        self.assertEqual(self.cluster.sql('SELECT n FROM t').stdout.strip(), '42')
        users = host.json(CCLOUD, 'cluster', 'user', 'list', 'ops', '-o', 'json')
        self.assertEqual([u['name'] for u in users], ['maya'])


if __name__ == '__main__':
    unittest.main(verbosity=2)
