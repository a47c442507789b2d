// Verify the DKIM signatures of a message on standard input with mailauth: one line "RESULT DOMAIN" for each.
const fs = require('node:fs');

const { dkimVerify } = require('mailauth/lib/dkim/verify');

dkimVerify(fs.readFileSync(0)).then(({ results }) => {
  for (const { status, signingDomain } of results) console.log(status.result, signingDomain);
});
