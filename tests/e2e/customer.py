"""The customer's hands on keys in the three clouds, by their HTTP interfaces: the vendors' programs take a second to start.

Each kind of key has `enable(bool)`, `uri` and `spec()`. harness.py has AWS's by the real aws.
"""
import json
import pathlib

from harness import host


class AwsKey:
    """A customer's key in AWS KMS, granted to the platform. curl signs."""

    def __init__(self, region='us-east-1'):
        self.region = region
        made = self.call('CreateKey')['KeyMetadata']
        self.id, self.uri = made['KeyId'], made['Arn']
        actions = ['kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey', 'kms:DescribeKey']
        grants = ((f'arn:aws:iam::{self.uri.split(":")[4]}:root', 'kms:*'), (host.env['KEYHOLD_AWS_PRINCIPAL_ARN'], actions))
        self.act('PutKeyPolicy', PolicyName='default', Policy=json.dumps({'Version': '2012-10-17', 'Statement': [
            {'Effect': 'Allow', 'Principal': {'AWS': who}, 'Action': what, 'Resource': '*'} for who, what in grants]}))

    def call(self, action, **body):
        secret = f'user = "{host.env["AWS_ACCESS_KEY_ID"]}:{host.env["AWS_SECRET_ACCESS_KEY"]}"\n'
        text = host.run('curl', '-sS', '--fail-with-body', '-K', '-', '--aws-sigv4', f'aws:amz:{self.region}:kms', '-H',
                        f'X-Amz-Target: TrentService.{action}', '-H', 'Content-Type: application/x-amz-json-1.1', '-d',
                        json.dumps(body), f'https://kms.{self.region}.amazonaws.com/', input=secret).stdout
        return json.loads(text) if text else None

    def act(self, action, **body):
        return self.call(action, KeyId=self.id, **body)

    def enable(self, enabled):
        self.act('EnableKey' if enabled else 'DisableKey')

    def new_version(self):
        self.act('RotateKeyOnDemand')

    def spec(self):
        return json.dumps({'type': 'AWS_KMS', 'uri': self.uri, 'auth_principal': host.env['KEYHOLD_AWS_PRINCIPAL_ARN']})


class GcpKey:
    """A customer's key in Cloud KMS, by its REST interface."""

    def __init__(self, name):
        self.token = pathlib.Path(host.env['CLOUDSDK_AUTH_ACCESS_TOKEN_FILE']).read_text().strip()
        ring = f'projects/{host.env["CLOUDSDK_CORE_PROJECT"]}/locations/us-east1/keyRings'
        self.post(f'{ring}?keyRingId={name}', {})
        self.post(f'{ring}/{name}/cryptoKeys?cryptoKeyId={name}', {'purpose': 'ENCRYPT_DECRYPT'})
        self.uri = f'{ring}/{name}/cryptoKeys/{name}'
        member = f'serviceAccount:{host.env["KEYHOLD_GCP_SERVICE_ACCOUNT"]}'
        self.post(f'{self.uri}:setIamPolicy', {'policy': {'bindings': [
            {'role': 'roles/cloudkms.cryptoKeyEncrypterDecrypter', 'members': [member]}]}})

    def post(self, path, body, method='POST'):
        host.run('curl', '-sS', '--fail-with-body', '-X', method, f'https://cloudkms.googleapis.com/v1/{path}', '-H',
                 f'Authorization: Bearer {self.token}', '-H', 'Content-Type: application/json', '-d', json.dumps(body))

    def enable(self, enabled):
        """Its first version, which is its only one."""
        self.post(f'{self.uri}/cryptoKeyVersions/1?updateMask=state', {'state': 'ENABLED' if enabled else 'DISABLED'}, 'PATCH')

    def spec(self):
        return json.dumps({'type': 'GCP_CLOUD_KMS', 'uri': self.uri,
                           'auth_principal': host.env['KEYHOLD_GCP_SERVICE_ACCOUNT']})


class Vault:
    """The customer's hands on the vault of env.sh."""

    def __init__(self):
        self.name = host.env['KEYHOLD_AZURE_VAULT']
        self.url = f'https://{self.name}.vault.azure.net'
        self.id = (f'/subscriptions/{host.env["AZURE_SUBSCRIPTION_ID"]}/resourceGroups/{host.env["KEYHOLD_AZURE_RESOURCE_GROUP"]}'
                   f'/providers/Microsoft.KeyVault/vaults/{self.name}')

    def token(self, resource):
        words = ['curl', '-sS', '--fail-with-body',
                 f'https://login.microsoftonline.com/{host.env["AZURE_TENANT_ID"]}/oauth2/v2.0/token']
        for name, value in (('grant_type', 'client_credentials'), ('client_id', host.env['AZURE_CLIENT_ID']),
                            ('client_secret', host.env['AZURE_CLIENT_SECRET']), ('scope', f'{resource}/.default')):
            words += ['--data-urlencode', f'{name}={value}']
        return json.loads(host.run(*words).stdout)['access_token']

    def send(self, method, url, body=None, resource='https://vault.azure.net', version='7.4'):
        words = ['curl', '-sS', '--fail-with-body', '-X', method, f'{url}?api-version={version}', '-H', 'Content-Type: application/json',
                 '-H', f'Authorization: Bearer {self.token(resource)}', '-d', '' if body is None else json.dumps(body)]
        text = host.run(*words).stdout
        return json.loads(text) if text else None

    def key(self, method, path, body=None):
        return self.send(method, self.url + path, body)

    def policies(self, kind, permissions):
        policy = {'tenantId': host.env['AZURE_TENANT_ID'], 'objectId': host.env['KEYHOLD_AZURE_PRINCIPAL_ID'],
                  'permissions': {'keys': permissions}}
        self.send('PUT', f'https://management.azure.com{self.id}/accessPolicies/{kind}', {'properties': {'accessPolicies': [policy]}},
                  'https://management.azure.com', '2022-07-01')

    def grant(self):
        self.policies('add', ['get', 'wrapKey', 'unwrapKey'])

    def revoke(self):
        self.policies('remove', [])


class VaultKey:
    def __init__(self, vault, name):
        self.vault, self.name = vault, name
        self.kid = vault.key('POST', f'/keys/{name}/create', {'kty': 'RSA', 'key_size': 2048})['key']['kid']
        self.uri = f'{vault.url}/keys/{name}'

    def enable(self, enabled):
        self.vault.key('PATCH', f'/keys/{self.name}', {'attributes': {'enabled': enabled}})

    def spec(self):
        return json.dumps({'type': 'AZURE_KEY_VAULT', 'uri': self.uri, 'auth_principal': host.env['AZURE_TENANT_ID']})
