// The vendor's SDK against the local cloud, with nothing but env.sh: the life of a key, from its creation to its purge.
import assert from 'node:assert/strict';
import { EnvironmentCredential } from '@azure/identity';
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys';

const url = `https://${process.env.KEYHOLD_AZURE_VAULT}.vault.azure.net`;
const credential = new EnvironmentCredential();
const keys = new KeyClient(url, credential);

const made = await keys.createRsaKey('sdk-key', { keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] });
assert.equal(made.keyType, 'RSA');
assert.deepEqual(made.keyOperations, ['wrapKey', 'unwrapKey']);

const secret = Buffer.from('0123456789abcdef0123456789abcdef');
const first = new CryptographyClient(made, credential);
const wrapped = await first.wrapKey('RSA-OAEP-256', secret);
assert.deepEqual(Buffer.from((await first.unwrapKey('RSA-OAEP-256', wrapped.result)).result), secret);

await keys.updateKeyProperties('sdk-key', made.properties.version, { enabled: false });
await assert.rejects(first.unwrapKey('RSA-OAEP-256', wrapped.result), /disabled/);
await keys.updateKeyProperties('sdk-key', made.properties.version, { enabled: true });

const rotated = await keys.rotateKey('sdk-key');
assert.notEqual(rotated.properties.version, made.properties.version);
const versions = [];
for await (const version of keys.listPropertiesOfKeyVersions('sdk-key')) versions.push(version.version);
assert.equal(versions.length, 2);

const deletion = await keys.beginDeleteKey('sdk-key', { intervalInMs: 200 });
const deleted = await deletion.pollUntilDone();
assert.ok(deleted.properties.scheduledPurgeDate > new Date());
const recovery = await keys.beginRecoverDeletedKey('sdk-key', { intervalInMs: 200 });
assert.equal((await recovery.pollUntilDone()).name, 'sdk-key');
assert.deepEqual(Buffer.from((await first.unwrapKey('RSA-OAEP-256', wrapped.result)).result), secret);

await (await keys.beginDeleteKey('sdk-key', { intervalInMs: 200 })).pollUntilDone();
await keys.purgeDeletedKey('sdk-key');
await assert.rejects(keys.getKey('sdk-key'), (error) => error.code === 'KeyNotFound');
console.log('the vendor\'s SDK: create, wrap, unwrap, disable, enable, rotate, list, delete, recover, purge');
