package main

import (
	"time"

	"github.com/spf13/cobra"

	"weir/internal/server"
)

// backupFlags say where a server makes backups by itself, for whom, and how many stay.
type backupFlags struct {
	dir, recipientsFile, every string
	recipients                 []string
	keep                       int
}

func (b *backupFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&b.dir, "backup-dir", "", "folder into which one server of the store makes backups by itself")
	f.StringArrayVar(&b.recipients, "backup-recipient", nil, "public key of who can read those (age1…); may be repeated")
	f.StringVar(&b.recipientsFile, "backup-recipients-file", "", "file with such keys, one a line")
	f.StringVar(&b.every, "backup-every", "1d", "how long after one backup the next is made")
	f.IntVar(&b.keep, "backup-keep", 14, "how many backups stay in the folder")
}

// backups gives what the flags say, nil when no backups are to be made.
func (b *backupFlags) backups() (*server.Backups, error) {
	if b.dir == "" {
		if len(b.recipients)+len(b.recipientsFile) > 0 {
			return nil, usagef("--backup-dir is missing: the folder into which backups go")
		}
		return nil, nil
	}
	to, err := recipientsOf(b.recipients, b.recipientsFile)
	if err != nil {
		return nil, err
	}
	every, err := parseSpan(b.every)
	switch {
	case err != nil:
		return nil, usagef("--backup-every: %w", err)
	case every < time.Minute:
		return nil, usagef("--backup-every must be at least a minute, not %s", every)
	case b.keep < 1:
		return nil, usagef("--backup-keep must be at least 1, not %d", b.keep)
	}
	return &server.Backups{Dir: b.dir, Recipients: to, Every: every, Keep: b.keep}, nil
}
