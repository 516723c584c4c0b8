package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"weir"
)

func newExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "export FOLDER | export -",
		GroupID: groupLook,
		Short:   "Write every object into a folder of manifests, one file each",
		Long: `Write every object that you may see as FOLDER/<kinds>/<name>.yaml, or all of them to standard output with "-".
What is written is what people want: no status, no revision, and of secrets and keys references, never the bytes.
Of a Certificate with an issuer it is what is ordered, not the chain that came of it.
Tokens are left out: they are credentials, which only weir token makes; and so are the Certificates that sites with
certificates: auto have ordered. Applying the folder again changes nothing, so that it can live in git.

Files of objects that are gone stay where they are unless --prune is given.`,
		Example: `  weir export wishes/
  weir export wishes/ --prune && git -C wishes diff
  weir export - --role web > web.yaml`,
		Args: exactArgs(1, "say where to: a folder, or - for standard output"),
	}
	role := cmd.Flags().String("role", "", "only objects of this role")
	prune := cmd.Flags().Bool("prune", false, "remove the files of objects that are gone")
	_ = cmd.RegisterFlagCompletionFunc("role", completeNames("Role"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		c.timeout = timeoutOf(cmd, applyWithin)
		if args[0] != "-" {
			return (&exporter{dir: args[0], role: *role, prune: *prune, kept: map[string]bool{}}).run(cmd, c)
		}
		if *prune {
			return usagef("--prune needs a folder")
		}
		var all []json.RawMessage
		err = c.every(cmd, *role, func(_ weir.Kind, o *object) error {
			wish, err := exported(o)
			all = append(all, wish)
			return err
		})
		if err != nil {
			return err
		}
		return printDocuments(cmd.OutOrStdout(), all)
	}
	return cmd
}

// every gives each wish that the caller may see, kind by kind, in an order that never changes. A Token is none: it
// can't be applied, here or anywhere. Nor is a Certificate that a site has ordered, which comes of that.
func (c *client) every(cmd *cobra.Command, role string, take func(weir.Kind, *object) error) error {
	query := url.Values{}
	if role != "" {
		query.Set("role", role)
	}
	for _, kind := range weir.Kinds() {
		if kind.ReadOnly || kind.Name == "Token" || role != "" && kind.Platform {
			continue
		}
		objects, err := c.all(cmd.Context(), kind, query)
		if err != nil {
			return err
		}
		for _, o := range objects.Items {
			if _, ordered := weir.OrderOf(&o.Object); ordered {
				continue
			}
			if err := take(kind, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// exporter writes objects into a folder.
type exporter struct {
	dir, role                 string
	prune                     bool
	kept                      map[string]bool
	written, same, pruned, of int
}

func (e *exporter) run(cmd *cobra.Command, c *client) error {
	if err := c.every(cmd, e.role, e.write); err != nil {
		return err
	}
	if e.prune {
		if err := e.removeOthers(); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%s in %s: %d written, %d unchanged", count(e.of, "object", "objects"), e.dir, e.written, e.same)
	if e.prune {
		text += fmt.Sprintf(", %d removed", e.pruned)
	}
	noted(cmd.ErrOrStderr(), "%s", text)
	return nil
}

// write puts one object into its file, unless that is so already: a file that is the same keeps its time.
func (e *exporter) write(kind weir.Kind, o *object) error {
	if err := weir.CheckName(o.Metadata.Name); err != nil {
		return fmt.Errorf("export %s: the name %w", kind.Name, err)
	}
	wish, err := exported(o)
	if err != nil {
		return err
	}
	text, err := toYAML(wish)
	if err != nil {
		return fmt.Errorf("export %s: %w", o.Ref(), err)
	}
	path := filepath.Join(e.dir, kind.Plural, o.Metadata.Name+".yaml")
	e.kept[path] = true
	e.of++
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		e.same++
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("export %s: %w", o.Ref(), err)
	}
	if err := replaceFile(path, text); err != nil {
		return fmt.Errorf("export %s: %w", o.Ref(), err)
	}
	e.written++
	return nil
}

// exported is the wish of an object. That of a certificate with an issuer is what is ordered, not what came of it: this is
// another one after each renewal, and of no use elsewhere, where it is ordered anew. Nor is a server's registration wished.
func exported(o *object) (json.RawMessage, error) {
	made := madeOf(o.Spec)
	if made == nil {
		return o.wish(), nil
	}
	var fields struct {
		Kind     json.RawMessage `json:"kind"`
		Metadata json.RawMessage `json:"metadata"`
		Spec     json.RawMessage `json:"spec"`
	}
	err := json.Unmarshal(o.wish(), &fields)
	if err == nil {
		fields.Spec, err = leavingOut(fields.Spec, made...)
	}
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", o.Ref(), err)
	}
	return json.Marshal(fields)
}

// madeOf names the fields that the control plane makes, and that are not worth keeping.
func madeOf(spec weir.Spec) []string {
	switch s := spec.(type) {
	case *weir.Certificate:
		if s.Issuer != "" {
			return []string{"chain", "keyRef", "info", "revoked", "revokedSerials"}
		}
	case *weir.Server:
		return []string{"registration"}
	}
	return nil
}

// leavingOut leaves fields of a JSON object out; the others keep their order, and need not be known to this program.
func leavingOut(raw json.RawMessage, names ...string) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var kept [][]byte
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if !slices.Contains(names, name.(string)) {
			kept = append(kept, fmt.Appendf(nil, "%q:%s", name, value))
		}
	}
	return slices.Concat([]byte("{"), bytes.Join(kept, []byte(",")), []byte("}")), nil
}

// replaceFile puts a file in place whole. It does not wait for the disk: there are many files, and what a crash
// takes is written by the next export.
func replaceFile(path string, text []byte) error {
	beside := path + ".tmp"
	if err := os.WriteFile(beside, text, 0o644); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

// removeOthers removes files that an export wrote for objects that are gone: those in the place where an object
// of their name would be, that hold exactly that object, and one of the role that was asked for.
func (e *exporter) removeOthers() error {
	for _, kind := range weir.Kinds() {
		paths, err := filepath.Glob(filepath.Join(globQuote(e.dir), kind.Plural, "*.yaml"))
		if err != nil {
			return fmt.Errorf("export: look for old files in %s: %w", e.dir, err)
		}
		for _, path := range paths {
			if e.kept[path] || !e.isOurs(kind, path) {
				continue
			}
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("export: remove the file of an object that is gone: %w", err)
			}
			e.pruned++
		}
	}
	return nil
}

func (e *exporter) isOurs(kind weir.Kind, path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	objects, err := weir.Decode(path, text)
	if err != nil || len(objects) != 1 {
		return false
	}
	o := objects[0]
	return o.Kind == kind.Name && o.Metadata.Name+".yaml" == filepath.Base(path) && (e.role == "" || o.Metadata.Role == e.role)
}

// globQuote makes a path mean itself in a pattern.
func globQuote(path string) string {
	var out []rune
	for _, r := range path {
		if r == '*' || r == '?' || r == '[' || r == '\\' {
			out = append(out, '\\')
		}
		out = append(out, r)
	}
	return string(out)
}
