package main

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
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

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
