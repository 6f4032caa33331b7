// What a listen() is answered with.
'use strict';

const path = require('node:path');

class Choice {
  constructor(all) {
    this.all = all;
  }

  // A list of sockets (none: it succeeds, and its connections come to another one), 'taken', or 'own'.
  of(query) {
    const asked = nameOf(query);
    const meant = this.all.filter((one) => one.names.has(asked));
    const exact = meant.find((one) => one.host === query.address && (one.isFree || one.isLent));
    const free = meant.filter((one) => one.isFree);
    if (exact) return [exact, ...free.filter((one) => one !== exact)];
    if (free.length) return free;
    // The same port by a second address ("localhost" has two) comes in by the first.
    if (meant.length) return meant.some((one) => query.address && one.askedFor !== query.address) ? [] : 'taken';
    if (isNumber(query.fd)) return 'own';
    const first = this.firstLeft(query, typeof asked === 'string');
    if (first === undefined) return 'own';
    return [first, ...this.all.filter((one) => one !== first && one.isFree && one.port !== undefined && one.port === first.port)];
  }

  // It asks for another address than any that is bound: it gets the next one, best of its kind and family.
  firstLeft({ addressType }, isFile) {
    const left = this.all.filter((one) => one.isFree);
    const alike = left.filter((one) => isFile === (one.port === undefined));
    return alike.find((one) => (addressType === 6) === one.isV6) ?? alike[0] ?? left[0];
  }
}

// The port, the whole path, or the number of a descriptor, that is asked for.
function nameOf({ address, port, fd }) {
  if (isNumber(fd)) return `fd ${fd}`;
  return port < 0 ? path.resolve(address) : port;
}

const isNumber = (fd) => typeof fd === 'number' && fd >= 0;

module.exports = { Choice, nameOf };
