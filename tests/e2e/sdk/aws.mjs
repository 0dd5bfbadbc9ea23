// The vendor's SDK against the local cloud, with nothing but env.sh: a key's life, and a role assumed. The SDK takes no
// proxy from the environment: its documented way is a request handler with a proxy agent.
import assert from 'node:assert/strict';
import * as kms from '@aws-sdk/client-kms';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { HttpsProxyAgent } from 'https-proxy-agent';

const requestHandler = new NodeHttpHandler({ httpsAgent: new HttpsProxyAgent(process.env.HTTPS_PROXY) });
const client = new kms.KMSClient({ requestHandler });
const sts = new STSClient({ requestHandler });

const made = (await client.send(new kms.CreateKeyCommand({ Description: 'by the SDK' }))).KeyMetadata;
assert.equal(made.KeyState, 'Enabled');
const KeyId = made.Arn;
await client.send(new kms.CreateAliasCommand({ AliasName: 'alias/by-the-sdk', TargetKeyId: KeyId }));
const described = await client.send(new kms.DescribeKeyCommand({ KeyId: 'alias/by-the-sdk' }));
assert.equal(described.KeyMetadata.Arn, KeyId);

const EncryptionContext = { cluster: '1' };
const secret = Buffer.from('0123456789abcdef0123456789abcdef');
const { CiphertextBlob } = await client.send(new kms.EncryptCommand({ KeyId, Plaintext: secret, EncryptionContext }));
const open = async () => (await client.send(new kms.DecryptCommand({ CiphertextBlob, EncryptionContext }))).Plaintext;
assert.deepEqual(Buffer.from(await open()), secret);
await assert.rejects(client.send(new kms.DecryptCommand({ CiphertextBlob })), kms.InvalidCiphertextException);
const data = await client.send(new kms.GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext }));
assert.equal(data.Plaintext.length, 32);

await client.send(new kms.DisableKeyCommand({ KeyId }));
await assert.rejects(open(), kms.DisabledException);
await client.send(new kms.EnableKeyCommand({ KeyId }));
await client.send(new kms.RotateKeyOnDemandCommand({ KeyId }));
assert.deepEqual(Buffer.from(await open()), secret);

await client.send(new kms.ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
await assert.rejects(open(), kms.KMSInvalidStateException);
await client.send(new kms.CancelKeyDeletionCommand({ KeyId }));
await client.send(new kms.EnableKeyCommand({ KeyId }));
assert.deepEqual(Buffer.from(await open()), secret);
await assert.rejects(client.send(new kms.DescribeKeyCommand({ KeyId: 'alias/none' })), kms.NotFoundException);

const self = await sts.send(new GetCallerIdentityCommand({}));
assert.equal(self.Account, KeyId.split(':')[4]);
const role = { RoleArn: process.env.ROLE_ARN, RoleSessionName: 'by-the-sdk' };
await assert.rejects(sts.send(new AssumeRoleCommand(role)), /AccessDenied|not authorized/);
const { Credentials } = await sts.send(new AssumeRoleCommand({ ...role, ExternalId: 'org-1' }));
const credentials = {
  accessKeyId: Credentials.AccessKeyId,
  secretAccessKey: Credentials.SecretAccessKey,
  sessionToken: Credentials.SessionToken,
};
const assumed = await new STSClient({ requestHandler, credentials }).send(new GetCallerIdentityCommand({}));
assert.match(assumed.Arn, /assumed-role\/sdk-role\/by-the-sdk$/);
const stranger = new kms.KMSClient({ requestHandler, credentials });
await assert.rejects(stranger.send(new kms.DescribeKeyCommand({ KeyId })), /not authorized/);
console.log('the SDK of AWS: create, alias, encrypt, decrypt, data key, disable, enable, rotate, delete, cancel, roles');
