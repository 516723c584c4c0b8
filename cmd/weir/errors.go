package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

// usageError is a command line that can't be understood.
type usageError struct{ error }

// Unwrap gives what is wrong.
func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// statusError ends the program with an exit status and says nothing: everything was said.
type statusError int

// Error names the status.
func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// interruptedError is the end by Ctrl-C of something of which more is to be said than that.
type interruptedError string

// Error says what stays.
func (e interruptedError) Error() string { return string(e) }

// refusal is a problem that the API answered with.
type refusal struct{ api.Problem }

// Error gives the problem's own words.
func (e *refusal) Error() string {
	if e.Detail != "" {
		return e.Detail
	}
	return fmt.Sprintf("the control plane answered %d %s", e.Status, http.StatusText(e.Status))
}

// isStatus says whether the API refused with an HTTP status.
func isStatus(err error, status int) bool {
	var r *refusal
	return errors.As(err, &r) && r.Status == status
}

// problemsOf gives the broken rules in an error, whoever found them.
func problemsOf(err error) (list []weir.Problem, omitted int) {
	var r *refusal
	var e *weir.Error
	switch {
	case errors.As(err, &r):
		return r.Errors, r.Omitted
	case errors.As(err, &e):
		return e.Problems, 0
	}
	return nil, 0
}

// report tells an error to people and gives the exit status for it.
func report(cmd *cobra.Command, err error) int {
	if s := statusError(0); errors.As(err, &s) {
		return int(s)
	}
	out := cmd.ErrOrStderr()
	scr := screenOf(cmd, out)
	if isUsage(cmd, err) {
		scr.printf("%s %s\n", scr.bad("weir:"), clean(err.Error()))
		scr.printf("Run %s for how to use it.\n", scr.strong(cmd.CommandPath()+" --help"))
		return exitUsage
	}
	printProblems(scr, err)
	scr.printf("%s %s\n", scr.bad("weir:"), clean(headline(err)))
	return exitRefused
}

// isUsage says whether the command line is to blame. Whatever goes wrong before a command runs is; flags that it
// needs are asked for by cobra only then, in an error that has no type.
func isUsage(cmd *cobra.Command, err error) bool {
	var usage usageError
	return errors.As(err, &usage) || cmd.Root().Context().Value(started{}) == nil || strings.HasPrefix(err.Error(), "required flag(s) ")
}

// printProblems prints one line for each broken rule, as compilers do, so that editors can jump there.
func printProblems(scr *screen, err error) {
	list, omitted := problemsOf(err)
	for _, p := range list {
		scr.printf("%s\n", problemLine(scr, p))
	}
	if omitted > 0 {
		scr.printf("… and %d more\n", omitted)
	}
}

func problemLine(scr *screen, p weir.Problem) string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(scr.strong(clean(place(p))) + " ")
	}
	if p.Object != "" {
		b.WriteString(scr.strong(clean(p.Object)) + ": ")
	}
	if p.Path != "" {
		b.WriteString(clean(p.Path) + ": ")
	}
	return b.String() + clean(p.Message)
}

func place(p weir.Problem) string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d:", p.File, p.Line)
	}
	return p.File + ":"
}

// unchanged says of a write that was refused, or of one that was only planned, that nothing was written.
func unchanged(err error) error {
	var r *refusal
	if errors.As(err, &r) && r.Status < http.StatusInternalServerError && !strings.Contains(r.Detail, "nothing was changed") {
		r.Detail += "; nothing was changed"
	}
	return err
}

// headline is an error in one line, without the list of broken rules.
func headline(err error) string {
	var r *refusal
	var e *weir.Error
	text := err.Error()
	list, omitted := problemsOf(err)
	switch {
	case errors.As(err, &r) && r.Status == http.StatusUnauthorized:
		text += "; run weir login, or set WEIR_TOKEN"
	case errors.As(err, &r) && r.Status >= http.StatusInternalServerError:
		text += fmt.Sprintf(" (request %s)", r.Instance)
	case errors.As(err, &e) && e.Cause == nil:
		text = strings.Replace(text, e.Error(), e.Message, 1)
	}
	if n := len(list) + omitted; n > 1 {
		text += fmt.Sprintf(" (%d problems)", n)
	}
	return text
}

// noted prints a remark that belongs to no output that a script reads.
func noted(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...)
}
