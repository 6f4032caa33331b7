// Requests and how long they took, in the words of the page that the parent keeps for this worker.
'use strict';

// See rookery/cluster/stats.py: exact below 16 us, then eight places to an octave.
const LINEAR = 16;
const PER_OCTAVE = 8;

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
    this.histogram = new Map();
  }

  began() {
    this.inFlight += 1;
    return performance.now();
  }

  ended(began, status) {
    const microseconds = Math.min(Math.max(Math.round((performance.now() - began) * 1000), 0), 0xffffffff);
    this.inFlight -= 1;
    this.requests += 1;
    if (status >= 500) this.errors += 1;
    this.latency += microseconds;
    const where = place(microseconds);
    this.histogram.set(where, (this.histogram.get(where) || 0) + 1);
  }

  // Totals; of the histogram what has come since the last time.
  take() {
    const { requests, errors, inFlight, latency } = this;
    const histogram = [...this.histogram];
    this.histogram.clear();
    return { requests, errors, inFlight, latency, histogram };
  }
}

module.exports = { Counts };
