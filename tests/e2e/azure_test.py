#!/usr/bin/env python3
"""The seed's story on Azure: a key in a vault, access given, a cluster under it; the key disabled, access taken away, the key
deleted, and each time back; a new version.

As the customer: by curl with a token of env.sh's own credentials, which is what `az rest` sends (Debian's `az keyvault key`
lacks a module).
"""
import json
import shutil
import subprocess
import unittest

from customer import Vault, VaultKey
from harness import BIN, Cluster, host, setUpModule, tearDownModule  # noqa: F401

LOCK_WITHIN = 5


class Azure(unittest.TestCase):
    def test_story(self):
        vault = Vault()
        cluster = Cluster('azure-story', cloud='AZURE', region='eastus')
        key = VaultKey(vault, 'cockroachdb-cmek')

        with self.subTest('refused before anything changes, with the command that grants'):
            refused = cluster.update(key, ok=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(f'az keyvault set-policy --name {vault.name} --object-id {host.env["KEYHOLD_AZURE_PRINCIPAL_ID"]}',
                          refused.stderr)
            self.assertEqual(cluster.sql('SELECT 1').stdout, '1\n')

        vault.grant()
        cluster.update(key)
        config = cluster.info()['cmek_config']
        self.assertEqual((config['status'], config['key_spec']['uri']), ('ENABLED', key.uri))
        self.assertEqual(cluster.sql('SHOW CLUSTER SETTING enterprise.encryption.type').stdout, 'AES-256-GCM\n')
        cluster.sql("CREATE TABLE cmek_test (id INT PRIMARY KEY, data STRING); INSERT INTO cmek_test VALUES (1, 'encryption test')")

        def locks(what, sentence, undo):
            with self.subTest(what):
                took, said = cluster.await_sql(False, LOCK_WITHIN + 10)
                self.assertLess(took, LOCK_WITHIN)
                self.assertIn(sentence, said)
                self.assertIn(key.uri, said)
                undo()
                back, _ = cluster.await_sql(True, 60)
                print(f'{what}: locked after {took:.1f} s, back after {back:.1f} s', flush=True)
                self.assertEqual(cluster.sql('SELECT data FROM cmek_test').stdout, 'encryption test\n')

        key.enable(False)
        locks('disabled', 'KeyDisabled', lambda: key.enable(True))
        vault.revoke()
        locks('access removed', 'AccessDenied', vault.grant)
        vault.key('DELETE', f'/keys/{key.name}')
        locks('soft-deleted', 'is deleted, and will be purged', lambda: vault.key('POST', f'/deletedkeys/{key.name}/recover'))

        with self.subTest('rotated to a new version, with the same URI'):
            newer = vault.key('POST', f'/keys/{key.name}/rotate')['key']['kid']
            self.assertNotEqual(newer, key.kid)
            cluster.update(key)
            self.assertEqual(cluster.info()['cmek_config']['status'], 'ENABLED')
            # The old version is not needed any more: the store key is wrapped by the new one.
            vault.key('PATCH', '/keys/' + key.kid.split('/keys/')[1], {'attributes': {'enabled': False}})
            with self.assertRaises(AssertionError):
                cluster.await_sql(False, 8)
            vault.key('PATCH', '/keys/' + newer.split('/keys/')[1], {'attributes': {'enabled': False}})
            cluster.await_sql(False, LOCK_WITHIN + 10)
            vault.key('PATCH', '/keys/' + newer.split('/keys/')[1], {'attributes': {'enabled': True}})
            cluster.await_sql(True, 60)

        with self.subTest('a vault in another region'):
            base = vault.id.rsplit('/', 1)[0]
            far = Vault()
            far.name, far.url, far.id = 'e2e-far', 'https://e2e-far.vault.azure.net', f'{base}/e2e-far'
            own = vault.send('GET', f'https://management.azure.com{vault.id}', None, 'https://management.azure.com',
                             '2022-07-01')['properties']['accessPolicies']
            vault.send('PUT', f'https://management.azure.com{far.id}', {'location': 'westeurope', 'properties': {'accessPolicies': own}},
                       'https://management.azure.com', '2022-07-01')
            refused = cluster.update(VaultKey(far, 'cmek'), ok=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn('is in region westeurope, the cluster is in eastus', refused.stderr)

        with self.subTest('the log tells who used the key'):
            log = host.run(BIN / 'keyhold', 'localcloud', 'log', '--dir', host.dir / 'kh', '--cloud', 'AZURE', '-o', 'json').stdout
            self.assertIn('"KeyUnwrap"', log)
            self.assertIn('KeyDisabled', log)
        cluster.delete()

    @unittest.skipUnless(shutil.which('az'), 'az is not installed')
    def test_az(self):
        """The vendor's command line: a key's life by `az rest`, the vault's policies by `az keyvault`."""
        vault = Vault()
        self.addCleanup(vault.revoke)
        env = {**host.env, 'AZURE_CONFIG_DIR': str(host.dir / 'az'), 'AZURE_CORE_COLLECT_TELEMETRY': 'false'}

        def az(*words, ok=True):
            done = subprocess.run(['az', *words], env=env, capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode == 0, ok, f'{words}: {done.stderr}')
            return done.stdout.strip() if ok else done.stderr

        def rest(method, path, body=None, **more):
            return az('rest', '--method', method, '--url', f'{vault.url}{path}?api-version=7.4', '--resource', 'https://vault.azure.net',
                      '--query', 'key.kid', '-o', 'tsv', *(['--body', json.dumps(body)] if body else []), **more)

        az('login', '--service-principal', '-u', env['AZURE_CLIENT_ID'], '-p', env['AZURE_CLIENT_SECRET'], '--tenant',
           env['AZURE_TENANT_ID'])
        az('keyvault', 'set-policy', '--name', vault.name, '--object-id', env['KEYHOLD_AZURE_PRINCIPAL_ID'], '--key-permissions',
           'get', 'wrapKey', 'unwrapKey')
        first = rest('post', '/keys/by-az/create', {'kty': 'RSA', 'key_size': 2048})
        self.assertEqual(rest('patch', '/keys/by-az', {'attributes': {'enabled': False}}), first)
        self.assertNotEqual(rest('post', '/keys/by-az/rotate'), first)
        rest('delete', '/keys/by-az')
        self.assertIn('KeyNotFound', rest('get', '/keys/by-az', ok=False))
        rest('post', '/deletedkeys/by-az/recover')
        policies = az('rest', '--method', 'get', '--url', f'https://management.azure.com{vault.id}?api-version=2022-07-01',
                      '--query', 'properties.accessPolicies[].objectId', '-o', 'tsv')
        self.assertIn(env['KEYHOLD_AZURE_PRINCIPAL_ID'], policies)


if __name__ == '__main__':
    unittest.main()
