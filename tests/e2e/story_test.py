#!/usr/bin/env python3
"""The seed's story and claims, end to end, as a user goes through them: ccloud, aws, psql, PostgreSQL 15.

    tests/e2e/story_test.py [BIN_DIR]        default: build/bin

One `keyhold start` in a directory of its own serves all tests; each makes the cluster and the key it needs.
"""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BIN, Cluster, Key, Writer, await_that, host, setUpModule, tearDownModule  # noqa: F401

SQL = "SELECT count(*) FROM cmek_test"


class Story(unittest.TestCase):
    def cluster(self, name, **more):
        cluster = Cluster(name, **more)
        self.addCleanup(cluster.delete)
        return cluster

    def test_01_seed_from_creation_to_rotation(self):
        cluster = self.cluster('seed')
        info = cluster.info()
        self.assertEqual((info['plan'], info['advanced_security_add_on']), ('ADVANCED', True))
        self.assertEqual(info['cmek_config']['status'], 'DISABLED')
        cluster.sql('CREATE TABLE before_cmek (v STRING); INSERT INTO before_cmek VALUES (\'kept\')')
        key = Key()
        cluster.update(key)
        config = cluster.info()['cmek_config']
        self.assertEqual((config['status'], config['key_spec']['uri']), ('ENABLED', key.arn))
        self.assertEqual(cluster.sql('SHOW CLUSTER SETTING enterprise.encryption.type;').stdout.strip(), 'AES-256-GCM')
        for text in ('CREATE TABLE cmek_test (id INT PRIMARY KEY, data STRING);',
                     "INSERT INTO cmek_test VALUES (1, 'encryption test');"):
            cluster.sql(text)
        self.assertEqual(cluster.sql('SELECT * FROM cmek_test;').stdout.strip(), '1|encryption test')
        self.assertEqual(cluster.sql('SELECT * FROM before_cmek').stdout.strip(), 'kept')
        key.aws('disable-key')
        took, said = cluster.await_sql(False, 6)
        self.assertLess(took, 5)
        self.assertIn(key.id, said)
        self.assertRegex(said, 'disabled')
        info = cluster.info()
        self.assertEqual((info['state'], info['lock']['cause']), ('LOCKED', 'KMS_DISABLED'))
        self.nothing_left(info['id'])
        key.aws('enable-key')
        cluster.await_sql(True, 20)
        self.assertEqual(cluster.sql(SQL).stdout.strip(), '1')
        key.aws('rotate-key-on-demand')
        cluster.update(key)
        second = Key()
        cluster.update(second)
        infos = cluster.info()['cmek_config']['region_infos'][0]['key_infos']
        self.assertEqual(infos[0]['spec']['uri'], second.arn)
        self.assertEqual(infos[0]['status'], 'ENABLED')
        self.assertIn(key.arn, [i['spec']['uri'] for i in infos[1:]])
        cluster.sql('DROP TABLE cmek_test;')

    def nothing_left(self, cluster_id):
        """In a locked node no mount of the store, and no PostgreSQL, is left."""
        node = next((host.dir / 'kh/nodes').iterdir()).name
        for pid in subprocess.run(['pgrep', '-f', f'keyhold node .*{node}'], capture_output=True, text=True).stdout.split():
            mounts = pathlib.Path(f'/proc/{pid}/mountinfo')
            await_that(lambda: ' /mnt/store ' not in mounts.read_text(), 'the store is mounted no more', within=20)

    def test_02_plans_and_add_on_are_told(self):
        key = Key()
        for plan in ('BASIC', 'STANDARD'):
            cluster = self.cluster(plan.lower(), plan=plan, add_on=False)
            refused = cluster.update(key, ok=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertRegex(refused.stderr, 'ADVANCED|Advanced')
        cluster = self.cluster('plain', add_on=False)
        refused = cluster.update(key, ok=False)
        self.assertIn('advanced-security-add-on', refused.stderr)
        host.run(BIN / 'ccloud', 'cluster', 'update', 'plain', '--advanced-security-add-on')
        cluster.update(key)
        self.assertEqual(cluster.info()['cmek_config']['status'], 'ENABLED')

    def test_03_unfit_keys_change_nothing(self):
        cluster = self.cluster('careful')
        unfit = {'eu-west-1': Key(region='eu-west-1'), 'kms:GenerateDataKey': Key(without='kms:GenerateDataKey'),
                 'kms:Encrypt': Key(without='kms:Encrypt'), 'kms:Decrypt': Key(without='kms:Decrypt'),
                 'kms:DescribeKey': Key(without='kms:DescribeKey')}
        for named, key in unfit.items():
            refused = cluster.update(key, ok=False)
            self.assertNotEqual(refused.returncode, 0, named)
            self.assertIn(named, refused.stderr)
            self.assertEqual(cluster.info()['cmek_config']['status'], 'DISABLED')
        cluster.sql('SELECT 1')

    def test_03b_wrong_usage_spec_or_principal(self):
        cluster = self.cluster('choosy')
        signing = host.json('aws', 'kms', 'create-key', '--key-usage', 'SIGN_VERIFY', '--key-spec', 'RSA_2048')['KeyMetadata']['Arn']
        asymmetric = host.json('aws', 'kms', 'create-key', '--key-usage', 'ENCRYPT_DECRYPT', '--key-spec', 'RSA_2048')['KeyMetadata']['Arn']
        for arn, named in ((signing, 'SIGN_VERIFY'), (asymmetric, 'RSA_2048')):
            key = Key()
            key.arn, key.id = arn, arn.split('/')[-1]
            key.grant()
            refused = cluster.update(key, ok=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(named, refused.stderr)
        stranger = Key(grant=False)
        stranger.grant(principal=f'arn:aws:iam::{stranger.arn.split(":")[4]}:root')
        refused = cluster.update(stranger, ok=False)
        self.assertNotEqual(refused.returncode, 0)
        for part in ('"Effect"', host.env['KEYHOLD_AWS_PRINCIPAL_ARN'], 'kms:GenerateDataKey'):
            self.assertIn(part, refused.stderr)
        self.assertEqual(cluster.info()['cmek_config']['status'], 'DISABLED')
        cluster.sql('SELECT 1')

    def test_04b_locked_in_the_middle_of_writes(self):
        cluster = self.cluster('torn')
        key = Key()
        cluster.update(key)
        cluster.sql('CREATE TABLE acks (id BIGINT PRIMARY KEY, v STRING)')
        session = subprocess.Popen(['psql', cluster.url, '-XAt', '-v', 'VERBOSITY=verbose'], stdin=subprocess.PIPE, env=host.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        session.stdin.write("SELECT 'open';\n")
        session.stdin.flush()
        self.assertEqual(session.stdout.readline().strip(), 'open')
        writers = [Writer(cluster.url, n * 1_000_000) for n in range(4)]
        while sum(len(w.acknowledged) for w in writers) < 500:
            threading.Event().wait(0.05)
        key.aws('disable-key')
        self.assertLess(cluster.await_sql(False, 6)[0], 5)
        _, said = session.communicate('SELECT 1;\n', timeout=30)
        self.assertRegex(said, '57P0[13]')
        self.assertIn(key.id, said)
        verbose = host.run('psql', cluster.url, '-X', '-v', 'VERBOSITY=verbose', '-c', 'SELECT 1', ok=False).stderr
        self.assertIn(key.id, verbose)
        key.aws('enable-key')
        cluster.await_sql(True, 30)
        for writer in writers:
            writer.stop()
        acknowledged = set().union(*(w.acknowledged for w in writers))
        found = {int(i) for i in cluster.sql('SELECT id FROM acks').stdout.split()}
        self.assertEqual(acknowledged - found, set())

    def test_04_revoked_policy_and_deletion_lock_and_return(self):
        cluster = self.cluster('locks')
        key = Key()
        cluster.update(key)
        cluster.sql('CREATE TABLE cmek_test (id INT PRIMARY KEY)')
        cluster.sql('INSERT INTO cmek_test SELECT generate_series(1, 1000)')
        key.revoke()
        self.assertLess(cluster.await_sql(False, 6)[0], 5)
        key.grant()
        cluster.await_sql(True, 20)
        self.assertEqual(cluster.sql(SQL).stdout.strip(), '1000')
        key.aws('schedule-key-deletion', '--pending-window-in-days', '7')
        took, said = cluster.await_sql(False, 6)
        self.assertLess(took, 5)
        self.assertIn('will be lost for good', said)
        key.aws('cancel-key-deletion')
        key.aws('enable-key')
        cluster.await_sql(True, 20)
        self.assertEqual(cluster.sql(SQL).stdout.strip(), '1000')

    def test_05_revoke_stays_until_a_usable_key_is_put(self):
        cluster = self.cluster('revoked')
        key = Key()
        cluster.update(key)
        cluster.sql('CREATE TABLE cmek_test (id INT PRIMARY KEY); INSERT INTO cmek_test VALUES (1)')
        host.run(BIN / 'ccloud', 'cluster', 'cmek', 'revoke', 'revoked', '--yes')
        self.assertLess(cluster.await_sql(False, 6)[0], 5)
        host.stop()
        host.start()
        self.assertNotEqual(cluster.sql('SELECT 1', ok=False).returncode, 0)

        def is_revoked():
            status = cluster.info()['cmek_config']['status']
            self.assertIn(status, ('REVOKING', 'REVOKED'))  # the former until the node, which has just been started, has said so
            return status == 'REVOKED'

        await_that(is_revoked, 'REVOKED', within=10)
        self.assertNotEqual(cluster.sql('SELECT 1', ok=False).returncode, 0)
        cluster.update(key)
        cluster.await_sql(True, 30)
        self.assertEqual(cluster.sql(SQL).stdout.strip(), '1')

    def test_06_rotation_under_load_fails_no_transaction(self):
        cluster = self.cluster('busy')
        key = Key()
        cluster.update(key)
        host.run('pgbench', '-i', '-s', '2', '-q', cluster.url)
        bench = subprocess.Popen(['pgbench', '-c', '4', '-T', '8', cluster.url], env=host.env, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        key.aws('rotate-key-on-demand')
        cluster.update(key)
        cluster.update(Key())
        out, err = bench.communicate(timeout=60)
        self.assertEqual(bench.returncode, 0, err)
        self.assertIn('number of failed transactions: 0', out)

    def test_07_kills_lose_no_row(self):
        cluster = self.cluster('kills')
        cluster.update(Key())
        cluster.sql('CREATE TABLE cmek_test (id SERIAL PRIMARY KEY, v INT)')
        written = 0
        for round_ in range(int(os.environ.get('KEYHOLD_KILL_ROUNDS', '6'))):
            for value in range(5):
                if cluster.sql(f'INSERT INTO cmek_test (v) VALUES ({value})', ok=False).returncode == 0:
                    written += 1
            victim = ('node', 'postgres', 'server')[round_ % 3]
            for pid in host.processes(victim):
                os.kill(pid, signal.SIGKILL)
            host.await_server()
            cluster.await_sql(True, 60)
            self.assertGreaterEqual(int(cluster.sql(SQL).stdout), written)

    def test_08_nothing_to_read_on_the_disk(self):
        cluster = self.cluster('dark')
        cluster.update(Key())
        word = 'XyzzyPlughMarker'
        cluster.sql(f"CREATE TABLE secrets (v STRING); INSERT INTO secrets SELECT '{word}' || g FROM generate_series(1, 5000) g")
        cluster.sql(f"SET work_mem = '64kB'; SELECT v FROM secrets ORDER BY v DESC OFFSET 4999; UPDATE secrets SET v = v || '{word}'")
        cluster.sql('VACUUM FULL secrets')
        cluster.sql(f"INSERT INTO secrets VALUES ('{word}', 'too many')", ok=False)
        cluster.sql('CHECKPOINT', ok=False)
        found = subprocess.run(['grep', '-rlaF', word, host.dir / 'kh'], capture_output=True, text=True).stdout
        self.assertEqual(found, '')

    def test_09_dump_and_restore_into_another_cluster(self):
        first, second = self.cluster('origin'), self.cluster('target')
        first.update(Key())
        second.update(Key())
        first.sql("CREATE TABLE cmek_test (id INT PRIMARY KEY, data STRING); INSERT INTO cmek_test SELECT g, 'row' || g FROM generate_series(1, 2000) g")
        with tempfile.TemporaryDirectory() as dump:
            host.run('pg_dump', first.url, '-Fc', '-f', f'{dump}/d')
            host.run('pg_restore', '-j', '2', '--no-owner', '-d', second.url, f'{dump}/d')
        self.assertEqual(second.sql(SQL).stdout.strip(), '2000')

    def test_10_bad_input_is_one_line_and_changes_nothing(self):
        cluster = self.cluster('hostile')
        key = Key()
        for spec in ('{"type":"AWS_KMS","uri":', '[' * 10_000, '{"type":"AWS_KMS"}', '{"type":"X","uri":"y"}', '{"type":1,"uri":2}',
                     json.dumps({'type': 'AWS_KMS', 'uri': 'arn:aws:s3:::bucket'}),
                     json.dumps({'type': 'AWS_KMS', 'uri': 'arn:aws:kms:us-east-1:111122223333:alias/a'}),
                     json.dumps({'type': 'AWS_KMS', 'uri': key.arn + '@evil.example'}),
                     json.dumps({'type': 'AWS_KMS', 'uri': key.arn + '\n'}),
                     json.dumps({'type': 'NULL_KMS', 'uri': ''})):
            done = host.run(BIN / 'ccloud', 'cluster', 'update', 'hostile', '--cmek-key-spec', spec, ok=False)
            self.assertNotEqual(done.returncode, 0, spec[:80])
            self.assertLessEqual(len(done.stderr.strip().splitlines()), 3, done.stderr)
            self.assertEqual(cluster.info()['cmek_config']['status'], 'DISABLED')
        missing = host.run(BIN / 'ccloud', 'cluster', 'info', 'nobody', ok=False)
        self.assertNotEqual(missing.returncode, 0)
        taken = subprocess.run([BIN / 'keyhold', 'start', '--dir', host.dir / 'kh', '--background'], capture_output=True, text=True)
        self.assertNotEqual(taken.returncode, 0)
        actions = {entry['action'] for entry in host.json(BIN / 'ccloud', 'audit', 'list', '-o', 'json')}
        self.assertIn('AUDIT_LOG_ACTION_CREATE_CLUSTER', actions)


if __name__ == '__main__':
    unittest.main(verbosity=2)
