// Serves HashiCorp's files at an address of the test's: their own program would listen on all addresses of the machine.
// usage: NODE_PATH=….tools/consul/node_modules node serve.js ADDRESS PORT
const fs = require('fs').promises;
const path = require('path');
const double = require('@hashicorp/api-double');

const [address, port] = process.argv.slice(2);
const files = path.dirname(require.resolve('@hashicorp/consul-api-double/package.json'));
const app = require('express')();
app.use(require('@hashicorp/api-double/lib/headers')());
app.use(require('cookie-parser')());
app.use(require('body-parser').text({ type: '*/*' }));
app.use(double('1', files, (file) => fs.readFile(file), process.env, path.resolve)().serve);
app.listen(port, address, () => console.log('ready'));
