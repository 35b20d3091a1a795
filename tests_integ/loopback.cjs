// Names of OpenAI are on the loopback, so that a custom_host may be OpenAI's own address.
const dns = require("node:dns");

const { lookup } = dns;
dns.lookup = (name, ...rest) => lookup(name.endsWith(".openai.com") ? "127.0.0.1" : name, ...rest);
