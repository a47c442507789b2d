// OpenPGP.js 5 and 6 as a program: `node openpgp.js MAJOR COMMAND OPTION...`. The commands are version, keys, encrypt, decrypt,
// signed-only, clearsigned and batch. They work in the current directory, with a file `secret`.
const fs = require('node:fs');

const [major, command, ...words] = process.argv.slice(2);
const openpgp = require(`openpgp${major}`);
const installed = JSON.parse(fs.readFileSync(`${__dirname}/../node_modules/openpgp${major}/package.json`));
const KINDS = {
  modern: { type: major === '5' ? 'ecc' : 'curve25519' },
  rsa: { type: 'rsa', rsaBits: 2048 },
  aead: { type: major === '5' ? 'ecc' : 'curve25519', config: { aeadProtect: true } },
  ...(major === '5' ? {} : { six: { type: 'curve25519', config: { v6Keys: true, aeadProtect: true } } }),
};

async function makeKeys() {
  for (const [name, kind] of Object.entries(KINDS)) {
    const userIDs = [{ email: `${name}@pgp.test` }];
    const { privateKey } = await openpgp.generateKey({ ...kind, userIDs, format: 'armored' });
    fs.writeFileSync(`${name}.key`, privateKey);
  }
}

const privateKey = (name) => openpgp.readPrivateKey({ armoredKey: fs.readFileSync(`${name}.key`, 'utf8') });
const secret = () => fs.readFileSync('secret', 'utf8');

async function encrypt(octets, words) {
  const options = new Set(words);
  const keys = words.filter((word) => word.startsWith('key=')).map((word) => word.slice(4));
  const config = {
    showVersion: options.has('version'),
    showComment: options.has('comment'),
    ...(options.has('aead') && { aeadProtect: true }),
    ...(options.has('zlib') && { preferredCompressionAlgorithm: openpgp.enums.compression.zlib }),
    ...(options.has('argon2') && { s2kType: openpgp.enums.s2k.argon2, aeadProtect: true }),
  };
  const readers = await Promise.all((keys.length ? keys : ['modern']).map(privateKey));
  const to = options.has('password')
    ? { passwords: [secret()] }
    : { encryptionKeys: readers.map((key) => key.toPublic()) };
  return openpgp.encrypt({
    message: await openpgp.createMessage({ binary: octets }),
    ...to,
    ...(options.has('sign') && { signingKeys: [await privateKey('rsa')] }),
    wildcard: options.has('wildcard'),
    config,
  });
}

async function decrypt(armored) {
  const message = await openpgp.readMessage({ armoredMessage: armored.toString() });
  const readers = await Promise.all(Object.keys(KINDS).map(privateKey));
  const withPassword = message.packets.filterByTag(openpgp.enums.packet.symEncryptedSessionKey).length > 0;
  const by = withPassword ? { passwords: [secret()] } : { decryptionKeys: readers };
  const { data } = await openpgp.decrypt({ message, ...by, format: 'binary' });
  return Buffer.from(data);
}

async function sign(octets, message) {
  return openpgp.sign({ message, signingKeys: [await privateKey('modern')] });
}

const COMMANDS = {
  version: async () => `OpenPGP.js ${installed.version}\n`,
  keys: async () => makeKeys().then(() => ''),
  encrypt,
  decrypt,
  'signed-only': async (octets) => sign(octets, await openpgp.createMessage({ binary: octets })),
  clearsigned: async (octets) => sign(octets, await openpgp.createCleartextMessage({ text: octets.toString() })),
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
