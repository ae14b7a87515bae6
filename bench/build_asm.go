//go:build !purego && !noasm

package main

const portableOnly = false
