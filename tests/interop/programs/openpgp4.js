// OpenPGP.js 4 as a program, with the commands and options of openpgp.js.
const fs = require('node:fs');

const openpgp = require('openpgp4');

// It asks which browser this is.
globalThis.navigator ??= { userAgent: '' };

const [, command, ...words] = process.argv.slice(2);
const KINDS = { modern: { curve: 'ed25519' }, rsa: { rsaBits: 2048 }, aead: { curve: 'ed25519' } };

async function makeKeys() {
  for (const [name, kind] of Object.entries(KINDS)) {
    openpgp.config.aead_protect = name === 'aead';
    const userIds = [{ email: `${name}@pgp.test` }];
    const { privateKeyArmored } = await openpgp.generateKey({ ...kind, userIds });
    fs.writeFileSync(`${name}.key`, privateKeyArmored);
  }
  return '';
}

const privateKey = async (name) => (await openpgp.key.readArmored(fs.readFileSync(`${name}.key`))).keys[0];
const secret = () => fs.readFileSync('secret', 'utf8');

async function encrypt(octets, words) {
  const options = new Set(words);
  const keys = words.filter((word) => word.startsWith('key=')).map((word) => word.slice(4));
  openpgp.config.show_version = options.has('version');
  openpgp.config.show_comment = options.has('comment');
  openpgp.config.aead_protect = options.has('aead');
  const readers = await Promise.all((keys.length ? keys : ['modern']).map(privateKey));
  const to = options.has('password')
    ? { passwords: [secret()] }
    : { publicKeys: readers.map((key) => key.toPublic()) };
  const { data } = await openpgp.encrypt({
    message: openpgp.message.fromBinary(octets),
    ...to,
    ...(options.has('sign') && { privateKeys: [await privateKey('rsa')] }),
    ...(options.has('zlib') && { compression: openpgp.enums.compression.zlib }),
    wildcard: options.has('wildcard'),
  });
  return data;
}

async function decrypt(armored) {
  const message = await openpgp.message.readArmored(armored.toString());
  const readers = await Promise.all(Object.keys(KINDS).map(privateKey));
  const withPassword = message.packets.filterByTag(openpgp.enums.packet.symEncryptedSessionKey).length > 0;
  const by = withPassword ? { passwords: [secret()] } : { privateKeys: readers };
  const { data } = await openpgp.decrypt({ message, ...by, format: 'binary' });
  return Buffer.from(data);
}

async function sign(message) {
  const { data } = await openpgp.sign({ message, privateKeys: [await privateKey('modern')] });
  return data;
}

const COMMANDS = {
  version: async () => `OpenPGP.js ${require('openpgp4/package.json').version}\n`,
  keys: makeKeys,
  encrypt,
  decrypt,
  'signed-only': async (octets) => sign(openpgp.message.fromBinary(octets)),
  clearsigned: async (octets) => sign(openpgp.cleartext.fromText(octets.toString())),
};

// One line for each job: input file, output file, and what would stand on the command line.
async function batch() {
  for (const line of fs.readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
    const [input, output, rest] = line.split('\t');
    const [name, ...options] = rest.split(' ');
    const made = await COMMANDS[name](fs.readFileSync(input), options).catch((error) => `failed: ${error}`);
    fs.writeFileSync(output, made);
  }
  return '';
}

async function main() {
  if (command === 'batch') return batch();
  const input = ['version', 'keys'].includes(command) ? null : fs.readFileSync(0);
  return COMMANDS[command](input, words);
}

main().then((output) => process.stdout.write(output));
