#!/usr/bin/env python3
"""Bad input of every kind gets one clear line, a non-zero exit or a 4xx, and changes nothing.

    tests/e2e/input_test.py [BIN_DIR]
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

from harness import BIN, Cluster, Key, host, setUpModule, tearDownModule  # noqa: F401

API = '/api/v1/clusters'
HOSTILE_NAMES = ('../../etc/passwd', "x'; DROP TABLE clusters; --", '$(reboot)', '`id`', 'a b', 'a\nb', 'a\x1b[31mb', 'a' * 300, '', '-rf',
                 'UPPER', 'é', '\u202eabc')


def refused(test, done, *parts):
    """It failed, with at most a few lines on stderr that hold the parts, and no control characters."""
    test.assertNotEqual(done.returncode, 0, done.stdout)
    test.assertTrue(done.stderr.strip())
    test.assertLessEqual(len(done.stderr.strip().splitlines()), 3, done.stderr)
    test.assertLess(len(done.stderr), 2000)
    test.assertNotIn('\x1b', done.stderr)
    for part in parts:
        test.assertIn(part, done.stderr)


class Input(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster('hostile')
        cls.key = Key()
        cls.path = f'{API}/{cls.cluster.info()["id"]}'

    @classmethod
    def tearDownClass(cls):
        cls.cluster.delete()

    def setUp(self):
        self.before = self.state()
        self.addCleanup(lambda: self.assertEqual(self.before, self.state()))

    def state(self):
        clusters = host.json(BIN / 'ccloud', 'cluster', 'list', '-o', 'json')
        return [(c['id'], c['name'], c['plan']) for c in clusters], self.cluster.info()['cmek_config']

    def refused_by_api(self, method, path, body, statuses=(400, 404, 405, 413, 415)):
        status, answer = host.call(method, path, body)
        self.assertIn(status, statuses, answer[:300])
        error = json.loads(answer)
        self.assertTrue(error['message'])
        self.assertLess(len(answer), 4000)

    def test_key_specs(self):
        arn = self.key.arn
        uris = ['arn:aws:s3:::bucket', 'arn:aws:kms:us-east-1:111122223333:alias/a', arn + '@evil.example', arn + '\n', arn + '/../x',
                arn.replace('us-east-1', 'us-east-1.evil.example'), arn.replace('us-east-1', 'US-EAST-1'), 'https://evil.example/' + arn,
                arn.replace('arn:aws:', 'arn:evil:'), 'http://169.254.169.254/latest', arn + '\u0000', arn.replace('kms', 'ｋms'), '', 'a' * 100_000]
        specs = ['{"type":"AWS_KMS","uri":', '[' * 10_000, '{"type":"AWS_KMS"}', '{"type":"X","uri":"y"}', '{"type":1,"uri":2}', 'null', '3', '""',
                 '{"type":"AWS_KMS","uri":["x"]}', json.dumps({'type': 'NULL_KMS', 'uri': ''}), '', '@/does/not/exist', '@/',
                 json.dumps({'region_specs': []}), json.dumps({'region_specs': {}})]
        specs += [json.dumps({'type': 'AWS_KMS', 'uri': uri}) for uri in uris]
        for spec in specs:
            with self.subTest(spec[:80]):
                refused(self, host.run(BIN / 'ccloud', 'cluster', 'update', 'hostile', '--cmek-key-spec', spec, ok=False))

    def test_a_key_spec_of_ten_megabytes(self):
        with tempfile.NamedTemporaryFile('w') as file:
            file.write(json.dumps({'type': 'AWS_KMS', 'uri': 'x' * 10_000_000}))
            file.flush()
            refused(self, host.run(BIN / 'ccloud', 'cluster', 'update', 'hostile', '--cmek-key-spec', f'@{file.name}', ok=False))

    def test_json_of_the_api(self):
        spec = {'type': 'AWS_KMS', 'uri': self.key.arn}
        bodies = (b'', b'{', b'null', b'[]', b'"x"', b'\xff\xfe', b'[' * 200_000, b'{"a":' * 100_000, b'x' * 10_000_000,
                  json.dumps({'region_specs': [{'region': 'us-east-1', 'key_spec': spec}] * 1000}).encode(),
                  json.dumps({'region_specs': [{'region': 'eu-west-1', 'key_spec': spec}]}).encode(),
                  json.dumps({'region_specs': [{'region': 7, 'key_spec': spec}]}).encode(),
                  json.dumps({'region_specs': 'x'}).encode())
        for body in bodies:
            with self.subTest(body[:60]):
                self.refused_by_api('POST', f'{self.path}/cmek', body)
                self.refused_by_api('POST', API, body)

    def test_names(self):
        for name in HOSTILE_NAMES:
            with self.subTest(name):
                self.refused_by_api('POST', API, json.dumps({'name': name, 'provider': 'AWS', 'plan': 'ADVANCED', 'spec': {
                    'dedicated': {'region_nodes': {'us-east-1': 1}, 'hardware': {'machine_spec': {'num_virtual_cpus': 4}}}}}))
                refused(self, host.run(BIN / 'ccloud', 'cluster', 'info', '--', name, ok=False))
                refused(self, host.run(BIN / 'ccloud', 'cluster', 'user', 'create', 'hostile', f'--password=long-enough-secret', '--',
                                      name if name not in ('UPPER', '-rf') else '', ok=False))

    def test_unknown_clusters(self):
        refused(self, host.run(BIN / 'ccloud', 'cluster', 'info', 'nobody', ok=False), 'nobody', 'ccloud cluster list')
        for id_ in ('00000000-0000-0000-0000-000000000000', '..', '%2e%2e', 'x' * 3000, '%00', "'"):
            self.refused_by_api('GET', f'{API}/{id_}', None, (400, 404, 414))

    def test_a_wrong_api_key(self):
        for bearer in ('', 'x', 'CCDB1_' + 'a' * 22 + '_' + 'b' * 40, 'x' * 7000):
            status, answer = host.call('GET', API, headers={'Authorization': f'Bearer {bearer}'})
            self.assertEqual((status, json.loads(answer)['code']), (401, 16))

    def test_a_dir_in_use(self):
        refused(self, subprocess.run([BIN / 'keyhold', 'start', '--dir', host.dir / 'kh', '--background'], capture_output=True, text=True),
                     'in use', 'keyhold stop')

    def started(self, prepare, *words):
        """A start in a directory of its own, prepared; it must be refused and leave the directory as it was."""
        with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
            folder = pathlib.Path(folder, 'kh')
            folder.mkdir()
            prepare(folder)
            before = sorted(os.listdir(folder))
            done = subprocess.run([BIN / 'keyhold', 'start', '--dir', folder, *words], capture_output=True, text=True, timeout=60)
            self.assertEqual([n for n in sorted(os.listdir(folder)) if n != 'LOCK'], [n for n in before if n != 'LOCK'])
            return done

    def test_dirs_that_are_not_ours(self):
        refused(self, self.started(lambda d: (d / 'VERSION').write_text('keyhold 99\n')), 'another version')
        refused(self, self.started(lambda d: (d / 'VERSION').write_bytes(b'\x00' * 100)), 'damaged')
        refused(self, self.started(lambda d: (d / 'letter.txt').write_text('mine')), 'not Keyhold')

    def test_damaged_dirs(self):
        """The state of a server, cut short or scribbled over: said, and left as it is."""
        with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
            folder = pathlib.Path(folder, 'kh')
            start = [BIN / 'keyhold', 'start', '--dir', folder, '--background']
            subprocess.run(start, check=True, capture_output=True, timeout=120)
            subprocess.run([BIN / 'keyhold', 'stop', '--dir', folder], check=True, capture_output=True, timeout=60)
            for name in ('server/keyhold.db', 'addresses.json', 'localcloud/cloud.db', 'localcloud/ca.pem', 'localcloud/hsm.key'):
                for damage in (b'', b'garbage' * 1000):
                    with self.subTest(f'{name} {len(damage)}'):
                        kept = (folder / name).read_bytes()
                        (folder / name).write_bytes(damage)
                        done = subprocess.run(start, capture_output=True, text=True, timeout=120)
                        if done.returncode == 0:
                            subprocess.run([BIN / 'keyhold', 'stop', '--dir', folder], check=True, capture_output=True, timeout=60)
                        self.assertNotEqual(done.returncode, 0)
                        self.assertIn(pathlib.Path(name).name, done.stderr)
                        self.assertEqual((folder / name).read_bytes(), damage)
                        (folder / name).write_bytes(kept)
            subprocess.run(start, check=True, capture_output=True, timeout=120)
            subprocess.run([BIN / 'keyhold', 'stop', '--dir', folder], check=True, capture_output=True, timeout=60)

    def test_a_busy_port(self):
        with socket.create_server(('127.0.0.1', 0)) as taken:
            port = taken.getsockname()[1]
            for option in ('--api-listen', '--localcloud-listen'):
                with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
                    done = subprocess.run([BIN / 'keyhold', 'start', '--dir', f'{folder}/kh', option, f'127.0.0.1:{port}'],
                                          capture_output=True, text=True, timeout=60)
                    refused(self, done, str(port))

    def test_command_lines(self):
        for words in (('cluster',), ('cluster', 'create'), ('cluster', 'create', 'GOLD', 'x', 'us-east-1'), ('nonsense',),
                      ('cluster', 'create', 'ADVANCED', 'x', 'mars-north-1', '--cloud', 'AWS'), ('cluster', 'info', 'hostile', '-o', 'xml'),
                      ('cluster', 'update', 'hostile'), ('cluster', 'update', 'hostile', '--plan', 'GOLD')):
            with self.subTest(words):
                refused(self, host.run(BIN / 'ccloud', *words, ok=False))


class Race(unittest.TestCase):
    def test_two_updates_at_once(self):
        """One wins; the other is told; the cluster serves on with a key that was asked for."""
        cluster = Cluster('twice')
        self.addCleanup(cluster.delete)
        keys = Key(), Key()
        done = {}
        threads = [threading.Thread(target=lambda k=k: done.update({k.arn: cluster.update(k, ok=False)})) for k in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [arn for arn, d in done.items() if d.returncode == 0]
        self.assertGreaterEqual(len(won), 1)
        for arn, d in done.items():
            if arn not in won:
                refused(self, d)
        self.assertIn(cluster.info()['cmek_config']['key_spec']['uri'], won)
        cluster.sql('SELECT 1')


if __name__ == '__main__':
    unittest.main(verbosity=2)
