#!/usr/bin/env python3
"""The seed's story on Google Cloud, end to end: the real gcloud through env.sh alone, ccloud, psql, PostgreSQL 15.

    tests/e2e/gcp_test.py [BIN_DIR]        default: build/bin
"""
import json
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from harness import BIN, ROOT, Cluster, host, setUpModule, tearDownModule  # noqa: F401

REGION = 'us-east1'
RING = 'cockroachdb-cmek'
ROLE = 'roles/cloudkms.cryptoKeyEncrypterDecrypter'


class GcpKey:
    """A customer's key in Cloud KMS, as the seed makes it."""

    made_ring = False

    def __init__(self, name):
        self.name = name
        if not GcpKey.made_ring:
            self.gcloud('kms', 'keyrings', 'create', RING, '--location', REGION)
            GcpKey.made_ring = True
        self.gcloud('kms', 'keys', 'create', name, '--keyring', RING, '--location', REGION, '--purpose', 'encryption')
        project = host.env['CLOUDSDK_CORE_PROJECT']
        self.uri = f'projects/{project}/locations/{REGION}/keyRings/{RING}/cryptoKeys/{name}'

    @staticmethod
    def gcloud(*words, ok=True):
        return host.run('gcloud', *words, ok=ok)

    def binding(self, verb):
        self.gcloud('kms', 'keys', f'{verb}-iam-policy-binding', self.name, '--keyring', RING, '--location', REGION,
                    '--member', f'serviceAccount:{host.env["KEYHOLD_GCP_SERVICE_ACCOUNT"]}', '--role', ROLE)

    def version(self, verb, number='1'):
        return self.gcloud('kms', 'keys', 'versions', verb, number, '--key', self.name, '--keyring', RING,
                           '--location', REGION)

    def rotate(self):
        self.gcloud('kms', 'keys', 'versions', 'create', '--key', self.name, '--keyring', RING, '--location', REGION,
                    '--primary')

    def spec(self):
        return json.dumps({'type': 'GCP_CLOUD_KMS', 'uri': self.uri,
                           'auth_principal': host.env['KEYHOLD_GCP_SERVICE_ACCOUNT']})


@unittest.skipUnless(shutil.which('gcloud'), 'gcloud is not installed')
class GcpStory(unittest.TestCase):
    def test_from_creation_to_rotation(self):
        cluster = Cluster('seed-gcp', region=REGION, cloud='GCP')
        self.addCleanup(cluster.delete)
        key = GcpKey('cmek-key')
        refused = cluster.update(key, ok=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn('gcloud kms keys add-iam-policy-binding cmek-key', refused.stderr)
        self.assertEqual(cluster.info()['cmek_config']['status'], 'DISABLED')

        key.binding('add')
        cluster.update(key)
        config = cluster.info()['cmek_config']
        self.assertEqual((config['status'], config['key_spec']['uri']), ('ENABLED', key.uri))
        self.assertEqual(cluster.sql('SHOW CLUSTER SETTING enterprise.encryption.type;').stdout.strip(), 'AES-256-GCM')
        cluster.sql('CREATE TABLE cmek_test (id INT PRIMARY KEY, data STRING);')
        cluster.sql("INSERT INTO cmek_test VALUES (1, 'encryption test');")

        def locked(change, word, cause, restore):
            change()
            took, said = cluster.await_sql(False, 8)
            self.assertLess(took, 5, word)
            self.assertRegex(said, word)
            self.assertIn(key.uri, said)
            self.assertEqual(cluster.info()['lock']['cause'], cause)
            restore()
            cluster.await_sql(True, 30)
            self.assertEqual(cluster.sql('SELECT * FROM cmek_test;').stdout.strip(), '1|encryption test')

        locked(lambda: key.version('disable'), 'DISABLED', 'KMS_DISABLED', lambda: key.version('enable'))
        locked(lambda: key.binding('remove'), 'useToDecrypt', 'KMS_DENIED', lambda: key.binding('add'))
        locked(lambda: key.version('destroy'), 'DESTROY_SCHEDULED', 'KMS_PENDING_DELETION',
               lambda: (key.version('restore'), key.version('enable')))

        key.rotate()
        cluster.update(key)
        self.versions_are_told_apart(cluster, key)
        key.version('disable')
        self.assertEqual(cluster.sql('SELECT count(*) FROM cmek_test').stdout.strip(), '1',
                         'after a rotation the old version is not what opens the store')
        second = GcpKey('cmek-key-2')
        second.binding('add')
        cluster.update(second)
        infos = cluster.info()['cmek_config']['region_infos'][0]['key_infos']
        self.assertEqual((infos[0]['spec']['uri'], infos[0]['status']), (second.uri, 'ENABLED'))
        cluster.sql('DROP TABLE cmek_test;')

    def versions_are_told_apart(self, cluster, key):
        def retire_check(version):
            return host.run(BIN / 'ccloud', 'cmek', 'retire-check', cluster.name, '--key', key.uri, '--version', version,
                            ok=False)
        deadline = time.monotonic() + 120
        while retire_check('1').returncode != 0:  # until what it wrapped is re-encrypted
            self.assertLess(time.monotonic(), deadline, retire_check('1').stdout)
        self.assertIn(f'YES: version 1 of key {key.uri}', retire_check('1').stdout)
        self.assertIn('found none under the data keys of its time', retire_check('1').stdout)
        self.assertIn('it wraps the store key now', retire_check('2').stdout)
        self.assertIn('it used 2, 1', retire_check('3').stderr)

    def test_gcloud_sees_its_own_checksums(self):
        key = GcpKey('by-hand')
        plain = host.dir / 'plain'
        plain.write_text('attack at dawn')
        where = ('--key', key.name, '--keyring', RING, '--location', REGION)
        key.gcloud('kms', 'encrypt', *where, '--plaintext-file', plain, '--ciphertext-file', host.dir / 'cipher')
        key.gcloud('kms', 'decrypt', *where, '--ciphertext-file', host.dir / 'cipher', '--plaintext-file',
                   host.dir / 'again')
        self.assertEqual((host.dir / 'again').read_text(), 'attack at dawn')
        described = json.loads(key.gcloud('kms', 'keys', 'describe', key.name, '--keyring', RING, '--location', REGION,
                                          '--format', 'json').stdout)
        self.assertEqual((described['purpose'], described['primary']['state']), ('ENCRYPT_DECRYPT', 'ENABLED'))
        listed = json.loads(key.gcloud('kms', 'keys', 'versions', 'list', *where, '--format', 'json').stdout)
        self.assertEqual([v['name'] for v in listed], [f'{key.uri}/cryptoKeyVersions/1'])

    def test_the_tutorial_runs_as_it_stands(self):
        page = (ROOT / 'docs/tutorial-gcp.md').read_text()
        script = 'set -euo pipefail\n' + '\n'.join(re.findall(r'^```bash\n(.*?)^```$', page, re.MULTILINE | re.DOTALL))
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(['bash', '-c', script], cwd=folder, env=host.env, capture_output=True, text=True, timeout=400)
        self.assertEqual(done.returncode, 0, f'{done.stdout[-3000:]}\n{done.stderr[-3000:]}')

    def test_keys_of_another_place_or_kind_change_nothing(self):
        cluster = Cluster('careful-gcp', region=REGION, cloud='GCP')
        self.addCleanup(cluster.delete)
        GcpKey('careful')
        key = GcpKey.__new__(GcpKey)
        for uri, word in ((f'projects/customer-x/locations/europe-west1/keyRings/{RING}/cryptoKeys/k', 'europe-west1'),
                          (f'projects/customer-x/locations/{REGION}/keyRings/{RING}', 'must have the form'),
                          (f'https://cloudkms.googleapis.com/v1/projects/customer-x/locations/{REGION}', 'form')):
            key.uri = uri
            refused = cluster.update(key, ok=False)
            self.assertNotEqual(refused.returncode, 0, uri)
            self.assertIn(word, refused.stderr)
        self.assertEqual(cluster.info()['cmek_config']['status'], 'DISABLED')
        cluster.sql('SELECT 1')


if __name__ == '__main__':
    unittest.main(verbosity=2)
