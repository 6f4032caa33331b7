// Requests and how long they took, in the words of the page that the parent keeps for this worker.
'use strict';

// See rookery/cluster/stats.py: exact below 16 us, then eight places to an octave.
const LINEAR = 16;
const PER_OCTAVE = 8;
const PLACES = 256; // up to 2^32 us

function place(microseconds) {
  if (microseconds < LINEAR) return microseconds;
  const shift = 28 - Math.clz32(microseconds);
  return LINEAR + (shift - 1) * PER_OCTAVE + (microseconds >>> shift) - PER_OCTAVE;
}

class Counts {
  constructor() {
    this.requests = 0;
    this.errors = 0;
    this.inFlight = 0;
    this.latency = 0;
    this.histogram = new Uint32Array(PLACES);
  }

  began() {
    this.inFlight += 1;
    return performance.now();
  }

  ended(began, status) {
    const microseconds = Math.min((performance.now() - began) * 1000, 0xffffffff) >>> 0;
    this.inFlight -= 1;
    this.requests += 1;
    if (status >= 500) this.errors += 1;
    this.latency += microseconds;
    this.histogram[place(microseconds)] += 1;
  }

  // Totals; of the histogram what has come since the last time.
  take() {
    const { requests, errors, inFlight, latency } = this;
    const histogram = [];
    this.histogram.forEach((count, where) => count && histogram.push([where, count]));
    this.histogram.fill(0);
    return { requests, errors, inFlight, latency, histogram };
  }
}

module.exports = { Counts };
