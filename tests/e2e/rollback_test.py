#!/usr/bin/env python3
"""CMEK cannot be disabled, by no call, flag or file edit; older key rings, stores and files that are put back are refused.

    tests/e2e/rollback_test.py [BIN_DIR]
"""
import json
import shutil
import sqlite3
import subprocess
import threading
import time
import unittest

from harness import BIN, Cluster, Key, host, setUpModule, tearDownModule  # noqa: F401

NULL = {'type': 'NULL_KMS', 'uri': '', 'auth_principal': ''}


def copy(source, target):
    """With all that makes it what it is: the store's identities are extended attributes."""
    if target.is_dir():
        shutil.rmtree(target)
    subprocess.run(['cp', '-a', source, target], check=True)


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


class Rollback(unittest.TestCase):
    def await_lock(self, cluster, words, within=60):
        deadline = time.monotonic() + within
        while words not in cluster.info().get('lock', {}).get('message', ''):
            self.assertLess(time.monotonic(), deadline, cluster.info())
            threading.Event().wait(0.2)
        return cluster.info()

    def locks_with(self, cluster, key):
        """The proof that the store opens with the key alone."""
        key.aws('disable-key')
        took, said = cluster.await_sql(False, 10)
        self.assertIn(key.id, said)
        key.aws('enable-key')
        cluster.await_sql(True, 60)

    def test_1_cmek_cannot_be_disabled(self):
        cluster, key = Cluster('always'), Key()
        self.addCleanup(cluster.delete)
        cluster.update(key)
        cluster.sql('CREATE TABLE t (v INT); INSERT INTO t VALUES (1)')
        path = f'/api/v1/clusters/{cluster.info()["id"]}/cmek'
        regions = json.dumps({'region_specs': [{'region': 'us-east-1', 'key_spec': NULL}]})
        for method, body in (('PATCH', '{"action":"DISABLE"}'), ('PATCH', '{"action":"ENABLE"}'), ('PATCH', '{}'), ('DELETE', None),
                             ('PUT', regions), ('POST', regions), ('PUT', '{"region_specs":[]}')):
            status, answer = host.call(method, path, body)
            self.assertGreaterEqual(status, 400, (method, body, answer))
            self.assertEqual(cluster.info()['cmek_config']['status'], 'ENABLED')
        for words in (('cmek', 'disable', 'always'), ('update', 'always', '--cmek-key-spec', json.dumps(NULL)),
                      ('update', 'always', '--no-cmek'), ('cmek', 'rotate', 'always', '--cmek-key-spec', json.dumps(NULL))):
            self.assertNotEqual(host.run(BIN / 'ccloud', 'cluster', *words, ok=False).returncode, 0, words)
        self.edit_every_file(cluster)
        self.assertEqual(cluster.sql('SELECT v FROM t').stdout.strip(), '1')
        self.locks_with(cluster, key)

    def edit_every_file(self, cluster):
        """What says that CMEK is on, turned to say that it is off, wherever that is kept."""
        node = host.node_dir(cluster.info()['id'])
        host.stop()

        def off(desired):
            desired['generation'] += 100
            desired['cmek'] = {'generation': desired['cmek']['generation'] + 100, 'key_spec': NULL}
        edit(node / 'desired.json', off)
        edit(node / 'state.json', lambda state: state.update(cmek_status='DISABLED', cmek_generation=0, keys=[]))
        database = sqlite3.connect(host.dir / 'kh/server/keyhold.db')
        with database:
            database.execute('UPDATE regions SET cmek_generation = cmek_generation + 100, cmek_spec = ?', (json.dumps(NULL),))
            database.execute('UPDATE nodes SET generation = generation + 200')
        database.close()
        host.start()
        cluster.await_sql(True, 60)

    def test_2_older_copies_are_refused(self):
        cluster, first, second = Cluster('older'), Key(), Key()
        self.addCleanup(cluster.delete)
        cluster.update(first)
        cluster.sql("CREATE TABLE t (v STRING); INSERT INTO t VALUES ('old')")
        node = host.node_dir(cluster.info()['id'])
        old, latest = host.dir / 'old', host.dir / 'latest'
        host.stop()
        copy(node, old)
        host.start()
        cluster.await_sql(True, 60)
        cluster.update(second)
        cluster.sql("UPDATE t SET v = 'new'")
        host.stop()
        copy(node, latest)
        for what in (('store/keyring',), ('store/keyring', 'state.json'), ('store/root',), ('store',), ('store', 'state.json'), ('',)):
            with self.subTest(put_back=what):
                for name in what:
                    copy(old / name, node / name)
                host.start()
                try:
                    self.is_refused(cluster)
                finally:
                    host.stop()
                    copy(latest, node)
        host.start()
        cluster.await_sql(True, 60)
        self.assertEqual(cluster.sql('SELECT v FROM t').stdout.strip(), 'new')
        self.locks_with(cluster, second)

    def test_3_an_older_file_is_refused(self):
        cluster = Cluster('single')
        self.addCleanup(cluster.delete)
        cluster.sql("CREATE TABLE t (v STRING); CREATE TABLE other (v STRING); INSERT INTO t VALUES ('old')")
        relation = cluster.sql("SELECT pg_relation_filepath('t')").stdout.strip()
        node = host.node_dir(cluster.info()['id'])
        inode = self.inode_below_the_mount(cluster, relation)
        host.stop()
        file = host.run('find', node / 'store/root', '-inum', inode).stdout.strip()
        old, latest = host.dir / 'old-file', host.dir / 'latest-file'
        copy(file, old)
        host.start()
        cluster.await_sql(True, 60)
        cluster.sql("UPDATE t SET v = 'new'; INSERT INTO other VALUES ('young')")
        host.stop()
        copy(file, latest)
        for put_back in (old, latest):
            subprocess.run(['cp', '--preserve=all', put_back, file], check=True)
            host.start()
            cluster.await_sql(True, 60)
            self.assertEqual(cluster.sql('SELECT v FROM other').stdout.strip(), 'young')
            told = cluster.sql('SELECT v FROM t', ok=False)
            if put_back == old:
                self.assertNotEqual(told.returncode, 0, told.stdout)
                self.assertIn('Input/output error', told.stderr)
                host.stop()
        self.assertEqual(told.stdout.strip(), 'new')

    def test_4_a_restored_store_is_accepted_when_its_operator_says_so(self):
        cluster, first, second = Cluster('restored'), Key(), Key()
        self.addCleanup(cluster.delete)
        cluster.update(first)
        cluster.sql("CREATE TABLE t (v STRING); INSERT INTO t VALUES ('old')")
        node = host.node_dir(cluster.info()['id'])
        old = host.dir / 'restored'
        host.stop()
        copy(node / 'store', old)
        host.start()
        cluster.await_sql(True, 60)
        self.accept(node, first, 'is it mounted?')
        cluster.update(second)
        cluster.sql("UPDATE t SET v = 'new'")
        host.stop()
        copy(old, node / 'store')
        host.start()
        self.is_refused(cluster)
        self.accept(node, second, 'is under the key')
        self.accept(node, first, 'say --yes', yes=())
        self.accept(node, first)
        cluster.await_sql(True, 120)
        self.assertEqual(cluster.sql('SELECT v FROM t').stdout.strip(), 'old')
        log = host.dir / 'kh/log' / f'node-{node.name}.log'
        self.assertIn('was accepted as it was put back', log.read_text())
        events = host.json(BIN / 'ccloud', 'audit', 'list', '-o', 'json')
        accepted = [e for e in events if 'restored_store_accepted' in e['payload']]
        self.assertEqual([(e['action'], e['cluster_name']) for e in accepted], [('AUDIT_LOG_ACTION_RESTORE_CLUSTER', cluster.name)])
        self.locks_with(cluster, first)
        host.stop()
        copy(old, node / 'store')
        host.start()
        self.is_refused(cluster)

    def accept(self, node, key, refused=None, yes=('--yes',)):
        """As the customer, whose key it is."""
        spec = json.dumps({'type': 'AWS_KMS', 'uri': key.arn})
        done = host.run(BIN / 'keyhold', 'store', 'accept-restored', node, '--cmek-key-spec', spec, *yes, ok=refused is None)
        if refused:
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(refused, done.stderr)

    def inode_below_the_mount(self, cluster, relation):
        """The mount's inode numbers are those of the backing files."""
        for pid in host.processes('node'):
            found = host.run('nsenter', '-t', pid, '-m', 'find', '/mnt/store', '-path', '*/' + relation, '-printf', '%i', ok=False)
            if found.stdout:
                return found.stdout
        self.fail(f'{relation} of {cluster.name} is in no mount')

    def is_refused(self, cluster):
        info = self.await_lock(cluster, 'older copy')
        self.assertEqual((info['state'], info['lock']['cause']), ('LOCKED', 'NODE_FAILED'))
        self.assertIn('back', info['lock']['message'])
        self.assertIn('older copy', cluster.sql('SELECT v FROM t', ok=False).stderr)


if __name__ == '__main__':
    unittest.main(verbosity=2)
