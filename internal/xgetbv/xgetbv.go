// Package xgetbv tells which parts of the register file are in use, so that
// tests can see whether assembly leaves the upper halves of the vector
// registers dirty, which makes the SSE code that follows it slow. Only amd64
// has something in it.
package xgetbv
