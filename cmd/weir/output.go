package main

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weir"
)

// addOutputFlag adds -o with the forms that a command knows, the first being what it prints when nothing is said.
func addOutputFlag(cmd *cobra.Command, forms ...string) *string {
	value := &form{value: forms[0], forms: forms}
	cmd.Flags().VarP(value, "output", "o", "how to print: "+strings.Join(forms, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
	return &value.value
}

// form is the value of -o.
type form struct {
	value string
	forms []string
}

// String gives the form.
func (f *form) String() string { return f.value }

// Type names the kind of value in the help.
func (f *form) Type() string { return "form" }

// Set takes a form that is known.
func (f *form) Set(text string) error {
	if !slices.Contains(f.forms, text) {
		return usagef("must be one of %s", strings.Join(f.forms, ", "))
	}
	f.value = text
	return nil
}

// printValue writes an answer for programs.
func printValue(out io.Writer, output string, v any) error {
	if output == "json" {
		return printJSON(out, v)
	}
	text, err := yamlOf(v)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// parseKind reads a kind as people write it: Pool, pools, lb.
func parseKind(word string) (weir.Kind, error) {
	kind, ok := weir.KindByWord(word)
	if !ok {
		return kind, usagef("%q is no kind; the kinds are %s", word, strings.Join(kindWords(), ", "))
	}
	return kind, nil
}

// kindWords are the kinds that objects can be asked by.
func kindWords() []string {
	var names []string
	for _, k := range weir.Kinds() {
		if !k.ReadOnly {
			names = append(names, k.Plural)
		}
	}
	return names
}

// parseRef reads "pool/web-az1".
func parseRef(word string) (weir.Ref, error) {
	kindWord, name, ok := strings.Cut(word, "/")
	if !ok {
		return weir.Ref{}, usagef("%q must be a kind and a name, as Pool/web-az1", word)
	}
	return newRef(kindWord, name)
}

func newRef(kindWord, name string) (weir.Ref, error) {
	kind, err := parseKind(kindWord)
	if err != nil {
		return weir.Ref{}, err
	}
	if err := weir.CheckName(name); err != nil {
		return weir.Ref{}, usagef("%s: the name %s", kind.Name, err)
	}
	return weir.Ref{Kind: kind.Name, Name: name}, nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
