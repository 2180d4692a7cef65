// Sets a call up and takes it down with the npm package rtpengine-client, over one transport; writes the keys of each
// answer. Usage: client.js udp|tcp|ws HOST PORT
const { Client, TcpClient, WsClient } = require('rtpengine-client');

const [transport, host, port] = process.argv.slice(2);
// TcpClient writes how many bytes it received.
console.log = () => {};

const sdp = ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 'c=IN IP4 192.0.2.1', 't=0 0', 'm=audio 4000 RTP/AVP 8', '']
  .join('\r\n');
const call = { 'call-id': `${transport}-call`, 'from-tag': 'a' };

function make() {
  switch (transport) {
    case 'udp': {
      const client = new Client({ timeout: 5000 });
      const bind = (name) => (...args) => client[name](Number(port), host, ...args);
      return { client, ask: (name, ...args) => bind(name)(...args) };
    }
    case 'tcp': {
      const client = new TcpClient({ hostport: `${host}:${port}`, timeout: 5000 });
      return { client, ask: (name, ...args) => client[name](...args) };
    }
    default: {
      const client = new WsClient({ url: `ws://${host}:${port}`, timeout: 5000 });
      return { client, ask: (name, ...args) => client[name](...args) };
    }
  }
}

const { client, ask } = make();
client.on('error', (error) => { process.stderr.write(`${error}\n`); process.exit(1); });
client.on('listening', async () => {
  const steps = [
    ['ping'],
    ['offer', { ...call, sdp }],
    ['answer', { ...call, 'to-tag': 'b', sdp }],
    ['query', call],
    ['delete', call],
    ['query', call],
  ];
  for (const [name, ...args] of steps) {
    const answer = await ask(name, ...args).catch((error) => ({ thrown: `${error}` }));
    const keys = Object.keys(answer).filter((key) => key !== 'warning').sort().join(' ');
    const medias = answer.tags ? Object.keys(answer.tags).sort().join(' ') : '';
    process.stdout.write(`${name}: ${answer.result} ${answer['error-reason'] || ''} [${keys}] ${medias}\n`);
  }
  process.exit(0);
});
