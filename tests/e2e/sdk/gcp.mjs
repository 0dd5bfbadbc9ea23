// The vendor's SDK against the local cloud, with nothing but env.sh: a key's life, and its policy. The SDK speaks gRPC
// unless it is told not to (`fallback: 'rest'`), and then takes no proxy from the environment for its calls, only for its
// tokens: it gets the proxy agent that it brings along.
import assert from 'node:assert/strict';
import kms from '@google-cloud/kms';
import { HttpsProxyAgent } from 'https-proxy-agent';

const client = new kms.KeyManagementServiceClient({ fallback: 'rest' });
const agent = new HttpsProxyAgent(process.env.HTTPS_PROXY);
const { transporter } = await client.auth.getClient();
transporter.interceptors.request.add({ resolved: async (options) => Object.assign(options, { agent }) });
const project = process.env.CLOUDSDK_CORE_PROJECT;
const parent = client.locationPath(project, 'us-east1');

await client.createKeyRing({ parent, keyRingId: 'sdk-ring', keyRing: {} });
const keyRing = client.keyRingPath(project, 'us-east1', 'sdk-ring');
const [made] = await client.createCryptoKey({
  parent: keyRing,
  cryptoKeyId: 'sdk-key',
  cryptoKey: { purpose: 'ENCRYPT_DECRYPT', versionTemplate: { algorithm: 'GOOGLE_SYMMETRIC_ENCRYPTION' } },
});
assert.equal(made.primary.state, 'ENABLED');

const secret = Buffer.from('0123456789abcdef0123456789abcdef');
const additionalAuthenticatedData = Buffer.from('cluster 1');
const [wrapped] = await client.encrypt({ name: made.name, plaintext: secret, additionalAuthenticatedData });
const open = async () =>
  (await client.decrypt({ name: made.name, ciphertext: wrapped.ciphertext, additionalAuthenticatedData }))[0];
assert.deepEqual(Buffer.from((await open()).plaintext), secret);
await assert.rejects(client.decrypt({ name: made.name, ciphertext: wrapped.ciphertext }), /Decryption failed/);

const version = made.primary.name;
const state = (value) =>
  client.updateCryptoKeyVersion({ cryptoKeyVersion: { name: version, state: value }, updateMask: { paths: ['state'] } });
await state('DISABLED');
await assert.rejects(open(), /is not enabled, current state is: DISABLED/);
await state('ENABLED');

const [second] = await client.createCryptoKeyVersion({ parent: made.name, cryptoKeyVersion: {} });
await client.updateCryptoKeyPrimaryVersion({ name: made.name, cryptoKeyVersionId: second.name.split('/').pop() });
assert.deepEqual(Buffer.from((await open()).plaintext), secret);
const [versions] = await client.listCryptoKeyVersions({ parent: made.name, pageSize: 1 });
assert.equal(versions.length, 2);

await client.destroyCryptoKeyVersion({ name: version });
await assert.rejects(open(), /DESTROY_SCHEDULED/);
await client.restoreCryptoKeyVersion({ name: version });
await state('ENABLED');
assert.deepEqual(Buffer.from((await open()).plaintext), secret);

const [policy] = await client.getIamPolicy({ resource: made.name });
policy.bindings.push({
  role: 'roles/cloudkms.cryptoKeyEncrypterDecrypter',
  members: [`serviceAccount:${process.env.KEYHOLD_GCP_SERVICE_ACCOUNT}`],
});
const [set] = await client.setIamPolicy({ resource: made.name, policy });
assert.equal(set.bindings.length, 1);
await assert.rejects(client.getCryptoKey({ name: `${keyRing}/cryptoKeys/none` }), /not found/);
console.log('the SDK of Google Cloud: create, encrypt, decrypt, disable, enable, rotate, list, destroy, restore, policies');
