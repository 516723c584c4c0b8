package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir"
)

// manifest is everything that the -f of one command line name.
type manifest struct {
	objects []*weir.Object
	// from says which text an object was read from.
	from  map[weir.Ref]int
	texts []manifestText
}

type manifestText struct {
	name string
	text []byte
}

const stdinName = "stdin"

func addFileFlag(cmd *cobra.Command) *[]string {
	names := cmd.Flags().StringArrayP("filename", "f", nil, "a manifest, a folder of them, or - for standard input; may be given several times")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml", "json")
	return names
}

// readManifest reads and checks the files named. What is wrong is told with the file and line of the user's own,
// for all files at once, before anything is sent.
func readManifest(cmd *cobra.Command, names []string) (*manifest, error) {
	if len(names) == 0 {
		return nil, usagef("say what to read: -f FILE, -f FOLDER, or -f - for standard input")
	}
	m := &manifest{from: map[weir.Ref]int{}}
	for _, name := range names {
		if err := m.read(cmd.InOrStdin(), name); err != nil {
			return nil, err
		}
	}
	var problems weir.Problems
	for i, t := range m.texts {
		objects, err := weir.Decode(t.name, t.text)
		if err != nil {
			found, _ := problemsOf(err)
			problems.Append(found...)
			continue
		}
		m.take(i, objects, &problems)
	}
	if list := problems.List(); len(list) > 0 {
		return nil, &weir.Error{Kind: weir.Invalid, Message: "the manifests can't be used; nothing was changed", Problems: inOrder(list, m.texts)}
	}
	if len(m.objects) == 0 {
		return nil, fmt.Errorf("%s: there is no object in it; nothing was changed", strings.Join(names, ", "))
	}
	return m, nil
}

func (m *manifest) take(text int, objects []*weir.Object, problems *weir.Problems) {
	for _, o := range objects {
		ref := o.Ref()
		if first, ok := m.from[ref]; ok {
			problems.Append(weir.Problem{
				File: m.texts[text].name, Line: lastLineOf(m.texts[text].text, ref), Object: ref.String(),
				Message: fmt.Sprintf("is there twice; %s:%d has it already", m.texts[first].name, lineIn(m.texts[first].text, ref, "")),
			})
			continue
		}
		m.from[ref] = text
		o.Status, o.Revision = nil, 0
		m.objects = append(m.objects, o)
	}
}

// inOrder sorts problems as the files were given, then by line.
func inOrder(list []weir.Problem, texts []manifestText) []weir.Problem {
	place := func(p weir.Problem) int {
		return slices.IndexFunc(texts, func(t manifestText) bool { return t.name == p.File })
	}
	slices.SortStableFunc(list, func(a, b weir.Problem) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return a.Line - b.Line
	})
	return list
}

func (m *manifest) read(stdin io.Reader, name string) error {
	if name == "-" {
		text, err := io.ReadAll(io.LimitReader(stdin, weir.MaxManifest+1))
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		m.texts = append(m.texts, manifestText{stdinName, text})
		return nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("read manifests: %w", err)
	}
	if !info.IsDir() {
		return m.readFile(name)
	}
	found := len(m.texts)
	// WalkDir goes in the order of names, so that the same folder is always the same text.
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		hidden := path != name && strings.HasPrefix(entry.Name(), ".")
		switch {
		case err != nil:
			return err
		case entry.IsDir() && hidden:
			return fs.SkipDir
		case entry.IsDir() || hidden || !isManifest(path):
			return nil
		}
		return m.readFile(path)
	})
	if err != nil {
		return fmt.Errorf("read manifests: %w", err)
	}
	if len(m.texts) == found {
		return fmt.Errorf("read manifests: %s holds no *.yaml, *.yml or *.json", name)
	}
	return nil
}

func isManifest(path string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path))
}

func (m *manifest) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read manifests: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, weir.MaxManifest+1))
	if err != nil {
		return fmt.Errorf("read manifests: %w", err)
	}
	m.texts = append(m.texts, manifestText{path, text})
	return nil
}

// body is what is sent: the objects as one list.
func (m *manifest) body() ([]byte, error) {
	body, err := json.Marshal(map[string]any{"kind": "List", "items": m.objects})
	if err != nil {
		return nil, fmt.Errorf("write the objects as JSON: %w", err)
	}
	return body, nil
}

// located gives an error of the control plane with the user's files and lines, in place of those of what was sent.
func (m *manifest) located(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	m.locate(r.Errors)
	r.Errors = inOrder(r.Errors, m.texts)
	return err
}

// locate puts the user's files and lines into problems.
func (m *manifest) locate(list []weir.Problem) {
	for i := range list {
		p := &list[i]
		p.File, p.Line = "", 0
		kind, name, _ := strings.Cut(p.Object, "/")
		ref := weir.Ref{Kind: kind, Name: name}
		if text, ok := m.from[ref]; ok {
			p.File, p.Line = m.texts[text].name, lineIn(m.texts[text].text, ref, p.Path)
		}
	}
}
