package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const readmeUsage = `usage: go run ./bench readme [flags]

Measures speeds and accuracy, and prints the tables of README.md, or puts them
there: in the place of what is between <!-- bench:speed --> or
<!-- bench:accuracy --> and the next <!-- /bench -->. A file may have one of
them, and sections of other commands.

  go run ./bench readme -peers -w README.md

`

// readmeDefaults are the flags that are others for README.md. Turns are long
// enough for data of 25 MB to come back into a cache from which a peer drove it.
var readmeDefaults = map[string]string{
	"kernels": "nll,ce+grad,softmax,log-softmax,exp,sum,planar ce,planar ce+grad",
	"cpu":     "1",
	"rounds":  "9",
	"time":    "300ms",
}

// readmeCommand makes the tables of README.md.
func readmeCommand(args []string, stdout, stderr io.Writer) error {
	sections := []section{{name: "speed"}, {name: "accuracy"}}
	c, file, err := sectionsFlags("readme", readmeUsage, readmeDefaults, sections, args, stderr)
	if err != nil {
		return err
	}
	command := commandLine(append([]string{"readme"}, args...))
	if sections[0].text, err = speedSection(*c, command, stderr); err != nil {
		return err
	}
	if sections[1].text, err = accuracySection(*c, stderr); err != nil {
		return err
	}
	return writeSections(file, sections, stdout)
}

// sectionsFlags reads the flags of a command that makes sections, and the name of
// the file to put them in, "" for none. A file without any is an error, before
// minutes of measuring.
func sectionsFlags(name, usage string, defaults map[string]string, sections []section, args []string, stderr io.Writer) (*config, string, error) {
	fs := flag.NewFlagSet("bench "+name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	c, check := speedFlags(fs)
	file := fs.String("w", "", "`file` to put the tables in")
	setDefaults(fs, defaults)
	if err := fs.Parse(args); err != nil {
		return nil, "", err
	}
	if err := check(); err != nil {
		return nil, "", err
	}
	if *file != "" {
		if _, err := replaceIn(*file, sections); err != nil {
			return nil, "", err
		}
	}
	return c, *file, nil
}

// setDefaults makes values the flags' defaults.
func setDefaults(fs *flag.FlagSet, values map[string]string) {
	for name, value := range values {
		fs.Set(name, value)
		fs.Lookup(name).DefValue = value
	}
}

// A section is a part of a Markdown file that this program writes.
type section struct{ name, text string }

const closing = "<!-- /bench -->"

func (s section) opening() string { return "<!-- bench:" + s.name + " -->" }

// writeSections puts sections into a file, or prints them if it is "".
func writeSections(file string, sections []section, stdout io.Writer) error {
	if file != "" {
		text, err := replaceIn(file, sections)
		if err != nil {
			return err
		}
		return os.WriteFile(file, []byte(text), 0o644)
	}
	for _, s := range sections {
		fmt.Fprint(stdout, s.opening(), "\n", s.text, closing, "\n\n")
	}
	return nil
}

// replaceIn returns the text of a file with other sections.
func replaceIn(file string, sections []section) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("-w: %w", err)
	}
	text, err := replaceSections(string(b), sections)
	if err != nil {
		return "", fmt.Errorf("-w %s: %w", file, err)
	}
	return text, nil
}

// replaceSections returns text with others of the sections that it has.
func replaceSections(text string, sections []section) (string, error) {
	has := func(s section) bool { return strings.Contains(text, s.opening()) }
	if !slices.ContainsFunc(sections, has) {
		return "", fmt.Errorf("no %s", sections[0].opening())
	}
	for _, s := range sections {
		before, rest, ok := strings.Cut(text, s.opening())
		if !ok {
			continue
		}
		old, after, ok := strings.Cut(rest, closing)
		if !ok || strings.Contains(old, "<!-- bench:") {
			return "", fmt.Errorf("no %s after %s", closing, s.opening())
		}
		text = before + s.opening() + "\n" + s.text + closing + after
	}
	return text, nil
}

// speedSection measures, and returns the tables of speeds with what made them.
func speedSection(c config, command string, stderr io.Writer) (string, error) {
	s, err := newSession(c, stderr)
	if err != nil {
		return "", err
	}
	defer s.close()
	r, err := s.measureAll(nil)
	if err != nil {
		return "", err
	}
	return r.markdown(command), nil
}

// markdown returns the tables of speeds: the package, the plain loop and
// PyTorch in one, the other peers in the next.
func (r *results) markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s %s/%s, one goroutine %s, medians of %d interleaved rounds, by `%s`", r.Machine.CPU,
		r.Machine.Go, r.Machine.OS, r.Machine.Arch, r.Settings.Core, r.Settings.Rounds, command)
	var versions []string
	for _, note := range r.Peers {
		if version, _, ok := strings.Cut(note, ", beside"); ok {
			versions = append(versions, version)
		}
	}
	if versions != nil {
		fmt.Fprintf(&b, "; beside them in the same rounds, on the same data and one thread, after their results have been compared: %s", strings.Join(versions, ", "))
	}
	b.WriteString(".\n")

	var ours, others []string
	for _, f := range r.Figures {
		columns := &ours
		if f.Peer != "" && !strings.HasPrefix(f.By, "PyTorch") {
			columns = &others
		}
		if !slices.Contains(*columns, f.By) {
			*columns = append(*columns, f.By)
		}
	}
	// Those with fewer kernels come last, after the plain loop.
	slices.SortStableFunc(ours, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	for _, columns := range [][]string{ours, others} {
		if columns != nil {
			b.WriteByte('\n')
			r.markdownTable(&b, columns)
		}
	}
	if n, all := r.noisy(); n > 0 {
		fmt.Fprintf(&b, "\nThe quartiles of %d of these %d figures are over %.0f%% of the median apart.\n", n, all, 100*noisy)
	}
	return b.String()
}

// rank puts the paths first, the plain loop next, and peers last.
func rank(by string) int {
	switch {
	case by == "naive":
		return 1
	case pathTitles[by] != "":
		return 0
	}
	return 2
}

// markdownTable writes the rows that have a figure of one of the columns.
func (r *results) markdownTable(b *strings.Builder, columns []string) {
	b.WriteString("| ns an element | shape |")
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", cmp.Or(pathTitles[c], c))
	}
	fmt.Fprintf(b, "\n|%s\n", strings.Repeat(" --- |", len(columns)+2))
	last := ""
	for i := 0; i < len(r.Figures); {
		first := r.Figures[i]
		cells := make([]string, len(columns))
		some := false
		for ; i < len(r.Figures) && r.Figures[i].Kernel == first.Kernel && r.Figures[i].Shape == first.Shape; i++ {
			if at := slices.Index(columns, r.Figures[i].By); at >= 0 {
				cells[at] = digitsOf(r.Figures[i].Median, 3)
				some = true
			}
		}
		if !some {
			continue
		}
		title := kernelNamed(first.Kernel).title
		if title == last {
			title = ""
		} else {
			last = title
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", title, first.Shape, strings.Join(cells, " | "))
	}
}

// accuracySection returns the table of errors, and the paragraph after it.
func accuracySection(c config, stderr io.Writer) (string, error) {
	args := []string{"-paths", strings.Join(c.paths, ","), "-seed", fmt.Sprint(c.seed)}
	if c.peers {
		args = append(args, "-peers")
	}
	var out strings.Builder
	if err := accuracyCommand(args, &out, stderr); err != nil {
		return "", err
	}
	return firstTable(out.String())
}

// firstTable returns the first Markdown table of a text, and the paragraph
// after it; what follows is too much for README.md.
func firstTable(text string) (string, error) {
	blocks := strings.Split(text, "\n\n")
	i := slices.IndexFunc(blocks, func(b string) bool { return strings.HasPrefix(b, "|") })
	if i < 0 || i+1 == len(blocks) {
		return "", fmt.Errorf("no table with a paragraph after it in %q", text)
	}
	return blocks[i] + "\n\n" + strings.TrimRight(blocks[i+1], "\n") + "\n", nil
}
