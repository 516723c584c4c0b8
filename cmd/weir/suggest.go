package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"weir"
)

// otherWords are what people who know other programs type for a command.
var otherWords = map[string][]string{
	"get":        {"list", "ls", "show"},
	"describe":   {"inspect", "info"},
	"search":     {"find", "grep", "lookup"},
	"status":     {"health", "top"},
	"waves":      {"wave", "rollout", "canary"},
	"ticketkeys": {"tickets", "ticket"},
	"history":    {"changes", "audit"},
	"log":        {"logs", "tail"},
	"explain":    {"why", "trace", "route", "curl"},
	"render":     {"config", "cfg", "haproxy"},
	"export":     {"dump"},
	"plan":       {"diff", "preview", "check", "validate"},
	"apply":      {"create", "edit", "set", "update", "put"},
	"delete":     {"remove", "rm", "destroy"},
	"undo":       {"revert", "rollback"},
	"drain":      {"disable", "cordon", "maintenance"},
	"enable":     {"undrain", "uncordon", "resume"},
	"context":    {"contexts", "ctx", "use"},
	"token":      {"tokens", "join"},
	"grant":      {"grants", "rights", "permit"},
	"server":     {"serve", "start", "run"},
}

// noArgs takes none. Of a command that has others below it a word is a mistyped one of those.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasAvailableSubCommands():
		return unknownCommand(cmd, args[0])
	}
	return usagef("%q is one argument too many: %s takes none", args[0], cmd.CommandPath())
}

// onlyFiles is noArgs of a command that reads manifests: what stands there instead is most likely one.
func onlyFiles(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usagef("%s takes manifests with -f; did you mean %s -f %s?", cmd.CommandPath(), cmd.CommandPath(), shellQuote(args[0]))
}

func unknownCommand(cmd *cobra.Command, word string) error {
	text := fmt.Sprintf("unknown command %q for %q", word, cmd.CommandPath())
	if near := nearCommands(cmd, word); len(near) > 0 {
		text += "; did you mean " + orList(near) + "?"
	}
	return usagef("%s", text)
}

// nearCommands gives the commands below one that a word may be meant to be.
func nearCommands(cmd *cobra.Command, word string) []string {
	var list []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && (nearest(word, []string{sub.Name()}) != "" || slices.Contains(sub.SuggestFor, word)) {
			list = append(list, sub.CommandPath())
		}
	}
	return list
}

// unknownFlag says of a flag that is not there which one is near.
func unknownFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return usageError{err}
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := nearest(unknown.GetSpecifiedName(), names); near != "" {
		err = fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return usageError{err}
}

// nearest gives the candidate that a word was most likely meant to be: one that it begins, or is a few letters
// from; "" when there is none.
func nearest(word string, candidates []string) string {
	best, least := "", mostTypos(word)+1
	for _, c := range candidates {
		d := typos(word, c)
		if len(word) > 1 && strings.HasPrefix(c, word) {
			d = min(d, 1)
		}
		if d < least {
			best, least = c, d
		}
	}
	return best
}

// mostTypos is how many letters of a word may be wrong for it to be still meant.
func mostTypos(word string) int {
	if len(word) < 4 {
		return 1
	}
	return 2
}

// typos counts the letters that must be put in, left out, replaced, or swapped with the next, to make b of a.
func typos(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

func orList(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// rightWords are the rights as words of the command line.
func rightWords() []string {
	return []string{string(weir.Viewer), string(weir.Operator), string(weir.Owner), string(weir.Admin)}
}
