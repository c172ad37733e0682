// An SMPP server of another make (npm smpp), told by JSON lines on its standard input how to
// behave, telling by JSON lines on its standard output what it sees.
//
//   {"listening": PORT}      {"bound": N, "system_id", "password", "version"}    {"unbound": N}
//   {"submit": ID, "to", "from", "text", "reference", "total", "part", "receipt"}
//   {"message": TEXT, "to", "parts"}   all parts of a long message, or a short one, put together
//   {"refused": STATUS}   {"hung": true}   {"enquired": true}   {"receipt_answered": ID}
//
// Commands: {"throttle": N} the next N submits; {"refuse": STATUS} all; {"hang": true} answers
// nothing at all; {"swallow": N} takes the next N submits and never answers; {"drop_after": N}
// answers N more submits, then cuts the connection; {"receipts": STATE, "form": "decimal" |
// "hex"} sends receipts by itself; {"receipt": ID, "state", "form"}; {"early": true} receipts
// before the answers; {"enquire": true}; {"cut": true}; {"unbind": true}; {"deaf": true} accepts
// no bind.
'use strict';
const fs = require('fs');
const readline = require('readline');
const [modules, port, password, folder] = process.argv.slice(2);
const smpp = require(modules + '/smpp');

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
let mode = { throttle: 0, swallow: 0, drop_after: -1, form: 'hex' };
let next_id = 0xab12; // its decimal form has no letter in common with it
let sessions = [];
let bound = 0;
const numbers = {}; // by id: whom it went to
const parts = {};

function put_together(to, sms) {
  const udh = sms.udh && sms.udh[0];
  if (!udh) return say({ message: sms.message, to, parts: 1 });
  const [, , reference, total, part] = udh; // without the length in front
  const key = `${to} ${reference} ${total}`;
  const known = (parts[key] = parts[key] || {});
  known[part] = sms.message;
  if (Object.keys(known).length === total) {
    const text = Array.from({ length: total }, (_, i) => known[i + 1]).join('');
    delete parts[key];
    say({ message: text, to, parts: total });
  }
}

function written(id, form) {
  return form === 'decimal' ? String(parseInt(id, 16)).padStart(10, '0') : id;
}

function send_receipt(session, id, state, form) {
  const text = `id:${written(id, form)} sub:001 dlvrd:001 submit date:2611281200 done date:2611281200 `
    + `stat:${state} err:${state === 'DELIVRD' ? '000' : '027'} text:`;
  session.deliver_sm({
    source_addr: numbers[id], destination_addr: '1068', esm_class: 4, short_message: text,
  }, () => say({ receipt_answered: id }));
}

function on_submit(session, pdu) {
  if (mode.hang) return say({ hung: true });
  if (mode.throttle > 0) {
    mode.throttle--;
    say({ refused: 0x58 });
    return session.send(pdu.response({ command_status: 0x58 }));
  }
  if (mode.refuse) {
    say({ refused: mode.refuse });
    return session.send(pdu.response({ command_status: mode.refuse }));
  }
  if (mode.drop_after === 0) {
    mode.drop_after = -1;
    say({ cut: true });
    return session.destroy();
  }
  if (mode.drop_after > 0) mode.drop_after--;
  const id = (next_id++).toString(16);
  const sms = pdu.short_message;
  const udh = sms.udh && sms.udh[0];
  numbers[id] = pdu.destination_addr;
  say({
    submit: id, to: pdu.destination_addr, from: pdu.source_addr, text: sms.message,
    coding: pdu.data_coding, ton: pdu.dest_addr_ton, receipt: pdu.registered_delivery,
    reference: udh ? udh[2] : null, total: udh ? udh[3] : 1, part: udh ? udh[4] : 1,
  });
  if (mode.swallow > 0) {
    mode.swallow--;
    return undefined;
  }
  put_together(pdu.destination_addr, sms);
  if (mode.receipts && mode.early) send_receipt(session, id, mode.receipts, mode.form);
  session.send(pdu.response({ message_id: id }));
  if (mode.receipts && !mode.early) send_receipt(session, id, mode.receipts, mode.form);
  return undefined;
}

function on_session(session) {
  session.on('error', () => {});
  session.on('close', () => {
    sessions = sessions.filter((other) => other !== session);
    say({ closed: true });
  });
  session.on('bind_transceiver', (pdu) => {
    if (mode.deaf) return;
    if (pdu.password !== password) {
      session.send(pdu.response({ command_status: 0x0e }));
      say({ refused: 0x0e });
      return;
    }
    session.send(pdu.response({ system_id: 'smsc' }));
    sessions.push(session);
    say({ bound: ++bound, system_id: pdu.system_id, version: pdu.interface_version });
  });
  session.on('submit_sm', (pdu) => on_submit(session, pdu));
  session.on('enquire_link', (pdu) => {
    if (mode.hang) return say({ hung: true });
    say({ enquired: true });
    return session.send(pdu.response());
  });
  session.on('unbind', (pdu) => {
    say({ unbound: true });
    session.send(pdu.response());
    session.close();
  });
}

function obey(command) {
  const session = sessions[sessions.length - 1];
  if (command.receipt) send_receipt(session, command.receipt, command.state, command.form);
  else if (command.enquire) session.enquire_link({}, () => say({ enquiry_answered: true }));
  else if (command.unbind) session.unbind(() => say({ unbind_answered: true }));
  else if (command.unknown) session.query_sm({ message_id: '1' }, (pdu) => say({ nack: pdu.command_status }));
  else if (command.cut) sessions.forEach((each) => each.destroy());
  else mode = { ...mode, ...command };
  say({ obeyed: command });
}

const options = folder ? { key: fs.readFileSync(`${folder}/tls.key`), cert: fs.readFileSync(`${folder}/tls.crt`) } : {};
const server = smpp.createServer(options, on_session);
server.on('tlsClientError', () => {});
server.listen(Number(port), '127.0.0.1', () => say({ listening: server.address().port }));
readline.createInterface({ input: process.stdin }).on('line', (line) => obey(JSON.parse(line)))
  .on('close', () => process.exit(0));
