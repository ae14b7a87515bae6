package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"

	"gonum.org/v1/gonum/blas/blas32"
)

const (
	pixels   = 64
	maxPixel = 16
	classes  = 10
	trainOn  = 1200 // rows; the others are held out
)

// testdata/README.md tells where they come from.
//
//go:embed testdata/digits.csv.gz
var digitsFile []byte

// A dataset is an image a row, with pixels in [0, 1], and its class.
type dataset struct {
	x      blas32.General
	labels []int
}

// slice returns the rows [lo, hi).
func (d dataset) slice(lo, hi int) dataset {
	x := d.x
	x.Rows = hi - lo
	x.Data = x.Data[lo*x.Stride : hi*x.Stride]
	return dataset{x, d.labels[lo:hi]}
}

// gather copies the given rows of d into dst.
func (d dataset) gather(dst dataset, rows []int) {
	for i, row := range rows {
		copy(dst.x.Data[i*dst.x.Stride:][:pixels], d.x.Data[row*d.x.Stride:])
		dst.labels[i] = d.labels[row]
	}
}

func newDataset(rows int) dataset {
	return dataset{newMatrix(rows, pixels), make([]int, rows)}
}

// loadDigits returns the rows to train on, and those held out.
func loadDigits() (train, test dataset, err error) {
	z, err := gzip.NewReader(bytes.NewReader(digitsFile))
	if err != nil {
		return train, test, fmt.Errorf("digits.csv.gz: %w", err)
	}
	all, err := readDigits(z)
	if err != nil {
		return train, test, fmt.Errorf("digits.csv.gz: %w", err)
	}
	n := len(all.labels)
	if n <= trainOn {
		return train, test, fmt.Errorf("digits.csv.gz: %d rows, want more than %d", n, trainOn)
	}
	return all.slice(0, trainOn), all.slice(trainOn, n), nil
}

// readDigits reads lines of pixels, each in [0, 16], and the class. Errors
// name the line.
func readDigits(r io.Reader) (dataset, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = pixels + 1
	in.ReuseRecord = true
	var d dataset
	line := 0 // the last one that was read
	for {
		record, err := in.Read()
		if err == io.EOF {
			break
		}
		if parseErr := (*csv.ParseError)(nil); errors.As(err, &parseErr) {
			return dataset{}, err // It names the line.
		}
		if err != nil {
			return dataset{}, fmt.Errorf("after line %d: %w", line, err)
		}
		line, _ = in.FieldPos(0)
		for i, field := range record {
			most := maxPixel
			if i == pixels {
				most = classes - 1
			}
			v, err := strconv.Atoi(field)
			if err != nil || v < 0 || v > most {
				line, column := in.FieldPos(i)
				return dataset{}, fmt.Errorf("line %d, column %d: %q is not a number from 0 to %d", line, column, field, most)
			}
			if i == pixels {
				d.labels = append(d.labels, v)
			} else {
				d.x.Data = append(d.x.Data, float32(v)/maxPixel)
			}
		}
	}
	d.x.Rows, d.x.Cols, d.x.Stride = len(d.labels), pixels, pixels
	return d, nil
}
