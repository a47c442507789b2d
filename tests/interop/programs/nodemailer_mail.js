// Send what is on standard input with nodemailer, encrypted by OpenPGP.js unless $PLAIN: to $SERVER as an account's
// owner, or by sendmail.
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');

const nodemailer = require('nodemailer');
const MimeNode = require('nodemailer/lib/mime-node');
const openpgp = require('openpgp6');

const { FROM, TO, SERVER, PASSWORD, PLAIN } = process.env;
const text = fs.readFileSync(0, 'utf8');

async function encrypted() {
  const armoredKey = execFileSync('gpg', ['--batch', '--armor', '--export', TO], { encoding: 'utf8' });
  const inner = new MimeNode('text/plain; charset=utf-8').setContent(text);
  const armor = await openpgp.encrypt({
    message: await openpgp.createMessage({ binary: await inner.build() }),
    encryptionKeys: await openpgp.readKey({ armoredKey }),
  });
  const root = new MimeNode('multipart/encrypted; protocol="application/pgp-encrypted"');
  root.createChild('application/pgp-encrypted').setContent('Version: 1\r\n');
  root.createChild('application/octet-stream', { filename: 'encrypted.asc' }).setContent(armor);
  root.setHeader({ from: FROM, to: TO, subject: 'Hello' });
  return { envelope: { from: FROM, to: TO }, raw: await root.build() };
}

async function main() {
  const transport = SERVER
    ? nodemailer.createTransport({ host: SERVER, port: 465, secure: true, auth: { user: FROM, pass: PASSWORD } })
    : nodemailer.createTransport({ sendmail: true, args: ['-i', '-f', FROM] });
  const message = PLAIN ? { from: FROM, to: TO, subject: 'Hello', text } : await encrypted();
  await transport.sendMail(message);
}

main().catch((error) => {
  console.error(String(error));
  process.exitCode = 1;
});
