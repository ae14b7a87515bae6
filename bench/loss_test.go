package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/x448/float16"
)

// npyBytes returns a file of version 1 with a header of our own.
func npyBytes(header string, data []byte) []byte {
	header += "\n"
	b := append([]byte(npyMagic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	return append(append(b, header...), data...)
}

func npyHeader(descr, shape string) string {
	return fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape)
}

// writeTemp writes a file and returns its name.
func writeTemp(t *testing.T, name string, b []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// appended returns numbers in an order of bytes.
func appended(t *testing.T, order binary.AppendByteOrder, data any) []byte {
	t.Helper()
	b, err := binary.Append(nil, order.(binary.ByteOrder), data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lossOutput runs the command on the files.
func lossOutput(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	err := lossCommand(args, &out, &errs)
	if errs.Len() > 0 {
		t.Errorf("on standard error: %s", &errs)
	}
	return out.String(), err
}

func TestLossOfDigits(t *testing.T) {
	out, err := lossOutput(t, "-worst", "3", "testdata/digits_logits.npy", "testdata/digits_labels.npy")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"float32 (1797, 10)", "int64 (1797,)", "0.17015996", "96.83 %", "(1740 of 1797)"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := len(regexp.MustCompile(`(?m)^ +\d+ +[\d.]+ +\d +\d$`).FindAllString(out, -1)); n != 3 {
		t.Errorf("%d of the worst rows, want 3:\n%s", n, out)
	}
}

// The example of PyTorch's documentation, in all types of logits and labels.
func TestLossTypes(t *testing.T) {
	x := []float32{-1, -3, 4, -3, 3, -1}
	var half []uint16
	var double []float64
	for _, v := range x {
		half = append(half, float16.Fromfloat32(v).Bits())
		double = append(double, float64(v))
	}
	for order, c := range map[binary.AppendByteOrder]string{binary.LittleEndian: "<", binary.BigEndian: ">"} {
		for descr, data := range map[string]any{"f2": half, "f4": x, "f8": double} {
			for labelType, labels := range map[string]any{"i8": []int64{0, 1}, "i4": []int32{0, 1}, "i2": []int16{0, 1}, "u4": []uint32{0, 1}, "i1": []int8{0, 1}} {
				for _, shape := range []string{"2", "1, 2"} {
					xs := npyBytes(npyHeader(c+descr, "("+shape+", 3)"), appended(t, order, data))
					ls := npyBytes(npyHeader(c+labelType, "("+shape+",)"), appended(t, order, labels))
					out, err := lossOutput(t, writeTemp(t, "x.npy", xs), writeTemp(t, "l.npy", ls))
					if err != nil || !strings.Contains(out, "mean loss   2.5141") || !strings.Contains(out, "accuracy    50.00 %") {
						t.Errorf("%s%s %s: %v\n%s", c, descr, labelType, err, out)
					}
				}
			}
		}
	}
}

// Rows that are left out, those with NaN, and losses of infinity, in blocks.
func TestLossRows(t *testing.T) {
	const rows, cols = 300, 40_000 // 48 MB, of which a block takes 52 rows.
	inf := float32(math.Inf(1))
	x := make([]float32, rows*cols)
	labels := make([]int64, rows)
	for i := range rows {
		x[i*cols+i] = 20 + float32(i)/100
		labels[i] = int64(i)
	}
	x[7*cols+3] = float32(math.NaN())
	x[100*cols+5] = inf
	for j := range cols {
		x[200*cols+j] = -inf
	}
	labels[50], labels[51], labels[100] = -1, -1, 6
	labels[150], labels[299] = 0, 1 // wrong
	x[299*cols+1] = -inf
	b := npyBytes(npyHeader("<f4", fmt.Sprintf("(%d, %d)", rows, cols)), appended(t, binary.LittleEndian, x))
	l := npyBytes(npyHeader("<i8", fmt.Sprintf("(%d,)", rows)), appended(t, binary.LittleEndian, labels))
	out, err := lossOutput(t, "-ignore", "-1", writeTemp(t, "x.npy", b), writeTemp(t, "l.npy", l))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"rows        300, of which 2 are left out, labelled -1",
		"NaN         3 rows", "row 7: NaN at class 3", "row 100: +Inf at class 5", "row 200: -Inf only",
		"mean loss   +Inf", "(293 of 295)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if !regexp.MustCompile(`prediction\n +299 +\+Inf +1 +299\n +150 +21\.5 +0 +150\n +0 +`).MatchString(out) {
		t.Errorf("wrong order of the worst:\n%s", out)
	}
}

func TestLossErrors(t *testing.T) {
	six := make([]byte, 24)
	x := npyBytes(npyHeader("<f4", "(2, 3)"), six)
	labels := npyBytes(npyHeader("<i8", "(2,)"), make([]byte, 16))
	bad := func(label int64) []byte {
		return npyBytes(npyHeader("<i8", "(2,)"), appended(t, binary.LittleEndian, []int64{0, label}))
	}
	for _, test := range []struct {
		name      string
		x, labels []byte
		want      string
	}{
		{"empty", nil, labels, "x.npy: not a .npy file"},
		{"text", []byte("-1,-3,4\n-3,3,-1\n"), labels, "x.npy: not a .npy file"},
		{"version", append([]byte(npyMagic), 9, 0, 0, 0), labels, "version 9"},
		{"no size", append([]byte(npyMagic), 1, 0, 9), labels, "ends in its header"},
		{"short header", append([]byte(npyMagic), 1, 0, 99, 0, '{'), labels, "ends in its header"},
		{"huge header", append([]byte(npyMagic), 2, 0, 0, 0, 0, 0xff), labels, "a header of 4278190080 bytes"},
		{"no dictionary", npyBytes("hello", six), labels, "lacks a descr"},
		{"no brace", npyBytes("{'descr': '<f4', 'fortran_order': False", six), labels, "lacks a descr"},
		{"Fortran", npyBytes("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", six), labels, "Fortran order"},
		{"complex", npyBytes(npyHeader("<c8", "(2, 3)"), six), labels, `"<c8"`},
		{"records", npyBytes("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }", six), labels, "lacks a descr"},
		{"truncated", x[:len(x)-1], labels, "x.npy: it is cut off: 23 bytes follow its header, want 24"},
		{"many", npyBytes(npyHeader("<f4", "(4294967296, 4294967296)"), six), labels, "too many elements"},
		{"digits", npyBytes(npyHeader("<f4", "(99999999999999999999, 3)"), six), labels, "too many elements"},
		{"one dimension", npyBytes(npyHeader("<f4", "(6,)"), six), labels, "want a shape of (rows, classes)"},
		{"no classes", npyBytes(npyHeader("<f4", "(2, 0)"), nil), labels, "rows of 0 classes"},
		{"integers", npyBytes(npyHeader("<i4", "(2, 3)"), six), labels, "x.npy: int32 (2, 3), want logits"},
		{"rows", x, npyBytes(npyHeader("<i8", "(3,)"), make([]byte, 24)), "l.npy: int64 (3,), want a shape of (2,)"},
		{"columns", x, npyBytes(npyHeader("<i8", "(2, 1)"), make([]byte, 16)), "want a shape of (2,)"},
		{"float labels", x, npyBytes(npyHeader("<f4", "(2,)"), make([]byte, 8)), "l.npy: float32 (2,), want integers"},
		{"label", x, bad(3), "l.npy: row 1: label 3 is not in [0, 3), nor -100"},
		{"negative label", x, bad(-1), "l.npy: row 1: label -1 is not in [0, 3)"},
		{"huge label", x, bad(1 << 40), "label 1099511627776"},
	} {
		out, err := lossOutput(t, writeTemp(t, "x.npy", test.x), writeTemp(t, "l.npy", test.labels))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q\n%s", test.name, err, test.want, out)
		}
	}
	if _, err := lossOutput(t, "no such file", "nor this"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
	for _, args := range [][]string{nil, {"a"}, {"a", "b", "c"}, {"-worst=-1", "a", "b"}, {"-ignore=x", "a", "b"}} {
		if err := lossCommand(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// Nothing to average is no error, nor are keys in another order.
func TestLossOfNothing(t *testing.T) {
	x := npyBytes(`{"shape": (0, 3), "fortran_order": False, "descr": "<f4"}`, nil)
	out, err := lossOutput(t, writeTemp(t, "x.npy", x), writeTemp(t, "l.npy", npyBytes(npyHeader("<i8", "(0,)"), nil)))
	if err != nil || !strings.Contains(out, "no row counts") {
		t.Errorf("%v\n%s", err, out)
	}
	x = npyBytes(npyHeader("<f4", "(1, 2)"), make([]byte, 8))
	ignored := npyBytes(npyHeader("|i1", "(1,)"), []byte{0x9c})
	out, err = lossOutput(t, writeTemp(t, "x.npy", x), writeTemp(t, "l.npy", ignored))
	if err != nil || !strings.Contains(out, "no row counts") || !strings.Contains(out, "1 are left out, labelled -100") {
		t.Errorf("%v\n%s", err, out)
	}
}

// FuzzNPY gives damaged headers to the reader, which may only fail.
func FuzzNPY(f *testing.F) {
	f.Add([]byte(npyHeader("<f4", "(2, 3)")))
	f.Add([]byte("{'descr': '>i8', 'fortran_order': False, 'shape': (), }"))
	f.Fuzz(func(t *testing.T, header []byte) {
		if len(header) > math.MaxUint16-1 {
			return
		}
		a, err := openNPY(writeTemp(t, "x.npy", npyBytes(string(header), make([]byte, 24))))
		if err != nil {
			return
		}
		defer a.close()
		if n := a.elements(); n < 0 || n*a.size > 24+len(header) {
			t.Errorf("%d elements of %d bytes in 24", n, a.size)
		}
	})
}
