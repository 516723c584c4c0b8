package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Widths of the help, in columns: what is no terminal gets the usual one, and no line is too long to read.
const (
	usualWidth   = 80
	widestHelp   = 100
	longestShort = 62 // what stands behind the names of commands on the usual screen
)

// showHelp prints a command's help as wide as the screen.
func showHelp(cmd *cobra.Command, _ []string) {
	s := stdout(cmd)
	if s.width == 0 {
		s.width = usualWidth
	}
	s.width = min(s.width, widestHelp)
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	// The parsed template is kept by the command, so it is set on the one that is shown.
	cmd.SetUsageTemplate(usageTemplate(cmd, s.width))
	s.printf("%s\n\n%s", reflowed(s, text), cmd.UsageString())
}

// usageTemplate is cobra's with the flags wrapped.
func usageTemplate(cmd *cobra.Command, width int) string {
	text := strings.ReplaceAll(cmd.Root().UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", width))
	return strings.ReplaceAll(text, "for more information about a command.", "for more about a command.")
}

// reflowed fills the lines of each paragraph anew; what is indented stays as it is.
func reflowed(s *screen, text string) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if !strings.HasPrefix(p, " ") {
			paragraphs[i] = s.wrapped("", strings.ReplaceAll(p, "\n", " "))
		}
	}
	return strings.Join(paragraphs, "\n\n")
}
