package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/seed26845165/logits"
	"github.com/x448/float16"
)

// An npyFile is an array in NumPy's format, to be read from front to back. It
// may be larger than memory, and damaged: npyio panics on some broken headers.
type npyFile struct {
	name  string
	r     io.ReadCloser
	kind  byte // f, i or u, NumPy's letters
	size  int  // of an element
	order binary.ByteOrder
	shape []int

	buf []byte
}

const npyMagic = "\x93NUMPY"

// The header is a Python dictionary, whose keys may come in any order.
var (
	npyDescr = regexp.MustCompile(`['"]descr['"]\s*:\s*['"]([^'"]*)['"]`)
	npyOrder = regexp.MustCompile(`['"]fortran_order['"]\s*:\s*(True|False)`)
	npyShape = regexp.MustCompile(`['"]shape['"]\s*:\s*\(([0-9,\s]*)\)`)
)

// openNPY opens a file and reads its header.
func openNPY(name string) (*npyFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	a := &npyFile{name: name, r: f}
	header, err := readNPYHeader(f)
	if err == nil {
		err = a.parse(header)
	}
	if err == nil {
		err = a.checkSize(f)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return a, nil
}

func readNPYHeader(r io.Reader) (string, error) {
	head := make([]byte, len(npyMagic)+2)
	if _, err := io.ReadFull(r, head); err != nil || string(head[:len(npyMagic)]) != npyMagic {
		return "", errors.New("not a .npy file: it does not start with \\x93NUMPY and a version")
	}
	size := make([]byte, 4)
	switch major := head[len(npyMagic)]; major {
	case 1:
		size = size[:2]
	case 2, 3:
	default:
		return "", fmt.Errorf("version %d of the format, want 1 to 3", major)
	}
	if _, err := io.ReadFull(r, size); err != nil {
		return "", errors.New("it ends in its header")
	}
	n := uint32(binary.LittleEndian.Uint16(size))
	if len(size) == 4 {
		n = binary.LittleEndian.Uint32(size)
	}
	const most = 1 << 20
	if n > most {
		return "", fmt.Errorf("a header of %d bytes, want at most %d", n, most)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(r, header); err != nil {
		return "", errors.New("it ends in its header")
	}
	return string(header), nil
}

func (a *npyFile) parse(header string) error {
	descr, order, shape := npyDescr.FindStringSubmatch(header), npyOrder.FindStringSubmatch(header), npyShape.FindStringSubmatch(header)
	if descr == nil || order == nil || shape == nil {
		return fmt.Errorf("its header, %.100q, lacks a descr, fortran_order or shape that can be read", header)
	}
	if order[1] == "True" {
		return errors.New("it is in Fortran order: save numpy.ascontiguousarray of it")
	}
	if err := a.parseType(descr[1]); err != nil {
		return err
	}
	elements := 1
	for _, d := range strings.Split(shape[1], ",") {
		d = strings.TrimSpace(d)
		if d == "" {
			continue // After the comma of (3,).
		}
		n, err := strconv.Atoi(d)
		if err != nil || n > 0 && elements > math.MaxInt/8/n {
			return fmt.Errorf("its shape (%s) has too many elements", shape[1])
		}
		elements *= n
		a.shape = append(a.shape, n)
	}
	return nil
}

// parseType takes types such as <f4.
func (a *npyFile) parseType(descr string) error {
	supported := map[string]bool{
		"f2": true, "f4": true, "f8": true,
		"i1": true, "i2": true, "i4": true, "i8": true, "u1": true, "u2": true, "u4": true,
	}
	letter, ok := descr, false
	if len(descr) == 3 {
		letter, ok = descr[1:], true
		switch descr[0] {
		case '<':
			a.order = binary.LittleEndian
		case '>':
			a.order = binary.BigEndian
		case '|', '=':
			a.order = binary.NativeEndian
		default:
			ok = false
		}
	}
	if !ok || !supported[letter] {
		return fmt.Errorf("elements of type %q, want float16, float32, float64, a signed integer or an unsigned one of up to 32 bits", descr)
	}
	a.kind, a.size = letter[0], int(letter[1]-'0')
	return nil
}

// checkSize finds a file that is too short before hours are spent on it.
func (a *npyFile) checkSize(f *os.File) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	want := int64(a.elements()) * int64(a.size)
	if got := info.Size() - at; got < want {
		return fmt.Errorf("it is cut off: %d bytes follow its header, want %d for %s", got, want, a)
	}
	return nil
}

func (a *npyFile) elements() int {
	n := 1
	for _, d := range a.shape {
		n *= d
	}
	return n
}

// String tells type and shape, such as float32 (10, 3).
func (a *npyFile) String() string {
	kind := map[byte]string{'f': "float", 'i': "int", 'u': "uint"}[a.kind]
	order := ""
	if a.size > 1 && a.order == binary.ByteOrder(binary.BigEndian) {
		order = "big-endian "
	}
	return fmt.Sprintf("%s%s%d %s", order, kind, 8*a.size, shapeText(a.shape))
}

// shapeText returns a shape as Python writes it.
func shapeText(shape []int) string {
	if len(shape) == 1 {
		return fmt.Sprintf("(%d,)", shape[0])
	}
	return "(" + strings.Join(strings.Fields(strings.Trim(fmt.Sprint(shape), "[]")), ", ") + ")"
}

func (a *npyFile) close() error { return a.r.Close() }

// bytes reads the next n elements as they are in the file.
func (a *npyFile) bytes(n int) ([]byte, error) {
	if len(a.buf) < n*a.size {
		a.buf = make([]byte, n*a.size)
	}
	b := a.buf[:n*a.size]
	return b, a.fill(b)
}

func (a *npyFile) fill(b []byte) error {
	_, err := io.ReadFull(a.r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%s: it is cut off", a.name)
	}
	return err
}

// nativeOrder reports whether elements are in memory what they are in the file.
func (a *npyFile) nativeOrder() bool {
	return a.order.Uint16([]byte{1, 2}) == binary.NativeEndian.Uint16([]byte{1, 2})
}

// readFloats reads the next elements of an array of floating-point numbers.
func readFloats[T logits.Float](a *npyFile, dst []T) error {
	if a.size == int(unsafe.Sizeof(T(0))) && a.nativeOrder() {
		return a.fill(rawBytes(dst))
	}
	b, err := a.bytes(len(dst))
	if err != nil {
		return err
	}
	switch a.size {
	case 2:
		table := float16Table()
		for i := range dst {
			dst[i] = T(table[a.order.Uint16(b[2*i:])])
		}
	case 4:
		for i := range dst {
			dst[i] = T(math.Float32frombits(a.order.Uint32(b[4*i:])))
		}
	default:
		for i := range dst {
			dst[i] = T(math.Float64frombits(a.order.Uint64(b[8*i:])))
		}
	}
	return nil
}

// float16Table holds all float16 numbers by their bits: looking one up is ten
// times as fast as converting it.
var float16Table = sync.OnceValue(func() *[1 << 16]float32 {
	table := new([1 << 16]float32)
	for i := range table {
		table[i] = float16.Frombits(uint16(i)).Float32()
	}
	return table
})

// readInts reads the next elements of an array of integers.
func (a *npyFile) readInts(dst []int64) error {
	b, err := a.bytes(len(dst))
	if err != nil {
		return err
	}
	for i := range dst {
		var u uint64
		switch e := b[i*a.size:]; a.size {
		case 1:
			u = uint64(e[0])
		case 2:
			u = uint64(a.order.Uint16(e))
		case 4:
			u = uint64(a.order.Uint32(e))
		default:
			u = a.order.Uint64(e)
		}
		dst[i] = int64(u)
		if shift := 64 - 8*a.size; a.kind == 'i' {
			dst[i] = int64(u<<shift) >> shift
		}
	}
	return nil
}
