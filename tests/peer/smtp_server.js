// An SMTP server of another make (npm smtp-server), its mails read by a third (npm mailparser);
// told and telling by JSON lines, as smpp_server.js.
//
//   {"listening": PORT}   {"login": USER, "password", "secure"}
//   {"mail": {"subject", "text", "messageId", "inReplyTo", "references", "from", "to": [...]}}
//   {"refused": ADDRESS, "code": N}
//
// Commands: {"refuse": {ADDRESS: [CODE, ...]}} answers to the RCPT of an address, used up one by
// one; {"refuse_data": [CODE, ...]} answers to DATA.
'use strict';
const fs = require('fs');
const readline = require('readline');
const [modules, port, password, folder] = process.argv.slice(2);
const { SMTPServer } = require(modules + '/smtp-server');
const { simpleParser } = require(modules + '/mailparser');

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
let refuse = {};
let refuse_data = [];

function refusal(code) {
  const error = new Error(code < 500 ? 'not now, please' : 'nobody of that name');
  error.responseCode = code;
  return error;
}

const server = new SMTPServer({
  key: fs.readFileSync(`${folder}/tls.key`),
  cert: fs.readFileSync(`${folder}/tls.crt`),
  authOptional: password === '',
  logger: false,
  onAuth(auth, session, done) {
    say({ login: auth.username, password: auth.password, secure: session.secure });
    done(auth.password === password ? null : new Error('wrong'), { user: auth.username });
  },
  onRcptTo(address, session, done) {
    const code = (refuse[address.address] || []).shift();
    if (code) say({ refused: address.address, code });
    done(code ? refusal(code) : null);
  },
  onData(stream, session, done) {
    simpleParser(stream).then((mail) => {
      const code = refuse_data.shift();
      const told = {
        subject: mail.subject, text: mail.text, messageId: mail.messageId,
        inReplyTo: mail.inReplyTo, references: mail.references,
        from: mail.from.value[0], header_to: mail.to.value.map((each) => each.address), to: session.envelope.rcptTo.map((each) => each.address), code,
      };
      say({ mail: told });
      done(code ? refusal(code) : null);
    }, done);
  },
});
server.on('error', () => {});
server.listen(Number(port), '127.0.0.1', () => say({ listening: server.server.address().port }));
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  if (command.refuse) refuse = command.refuse;
  if (command.refuse_data) refuse_data = command.refuse_data;
  say({ obeyed: command });
}).on('close', () => process.exit(0));
