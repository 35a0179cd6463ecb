// Command main checks notes, tiles and proofs of a log with the packages that the Go command checks its own log with
// (golang.org/x/mod/sumdb/note and sumdb/tlog). It reads what tests/proofs/run.py and logs.py wrote: a log in each file.
// It prints a line for each, which begins with "holds" or "refused".
package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Sequence int64    `json:"sequence"`
	Size     int64    `json:"size"`
	LeafHash string   `json:"leaf_hash"`
	Hashes   []string `json:"hashes"`
}

type consistency struct {
	From   int64    `json:"from"`
	To     int64    `json:"to"`
	Hashes []string `json:"hashes"`
}

type asked struct {
	Key    string            `json:"key"`
	Last   string            `json:"last"`
	Leaves []string          `json:"leaves"`
	Tiles  map[string]string `json:"tiles"`
	Notes  []struct {
		Note        string      `json:"note"`
		Inclusion   inclusion   `json:"inclusion"`
		Consistency consistency `json:"consistency"`
	} `json:"notes"`
}

func must(err error, what string) {
	if err != nil {
		panic(fmt.Errorf("%s: %w", what, err))
	}
}

func hash(text string) (h tlog.Hash) {
	data, err := hex.DecodeString(text)
	must(err, "read a hash")
	copy(h[:], data)
	return h
}

func hashes(texts []string) (found []tlog.Hash) {
	for _, text := range texts {
		found = append(found, hash(text))
	}
	return found
}

// tree opens a signed checkpoint.
func tree(text string, verifiers note.Verifiers) tlog.Tree {
	opened, err := note.Open([]byte(text), verifiers)
	must(err, "open a note")
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err, "read a size")
	root, err := base64.StdEncoding.DecodeString(lines[2])
	must(err, "read a root")
	var h tlog.Hash
	copy(h[:], root)
	return tlog.Tree{N: size, Hash: h}
}

// served has the tiles that were downloaded.
type served map[string]string

func (served) Height() int { return 8 }

func (s served) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		// "tile/8/0/000" of this package is "0/000" of tlog-tiles.
		path := strings.TrimPrefix(tile.Path(), "tile/8/")
		text, ok := s[path]
		if !ok {
			return nil, fmt.Errorf("there is no tile %s", path)
		}
		one, err := hex.DecodeString(text)
		if err != nil {
			return nil, err
		}
		data = append(data, one)
	}
	return data, nil
}

func (served) SaveTiles([]tlog.Tile, [][]byte) {}

// check answers what a file has, or why it is refused.
func check(path string) (has string, refused any) {
	defer func() { refused = recover() }()
	data, err := os.ReadFile(path)
	must(err, "read what is asked")
	var told asked
	must(json.Unmarshal(data, &told), "read what is asked")
	verifier, err := note.NewVerifier(told.Key)
	must(err, "read the key")
	verifiers := note.VerifierList(verifier)
	last := tree(told.Last, verifiers)
	for _, one := range told.Notes {
		known := tree(one.Note, verifiers)
		in := one.Inclusion
		must(tlog.CheckRecord(hashes(in.Hashes), known.N, known.Hash, in.Sequence-1, hash(in.LeafHash)), "check an inclusion proof")
		same := one.Consistency
		must(tlog.CheckTree(hashes(same.Hashes), last.N, last.Hash, known.N, known.Hash), "check a consistency proof")
	}
	if last.N != int64(len(told.Leaves)) {
		panic(fmt.Errorf("the checkpoint is of %d events, the log has %d", last.N, len(told.Leaves)))
	}
	reader := tlog.TileHashReader(last, served(told.Tiles))
	for n, leaf := range told.Leaves {
		stored, err := hex.DecodeString(leaf)
		must(err, "read an event")
		found, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(n))})
		must(err, "read a hash of a tile")
		if found[0] != tlog.RecordHash(stored) {
			panic(fmt.Errorf("event %d is not in its tile", n+1))
		}
	}
	return fmt.Sprintf("%d notes, %d tiles, %d events", len(told.Notes), len(told.Tiles), len(told.Leaves)), nil
}

func main() {
	status := 0
	for _, path := range os.Args[1:] {
		if has, refused := check(path); refused == nil {
			fmt.Printf("holds: %s\n", has)
		} else {
			fmt.Printf("refused: %v\n", refused)
			status = 1
		}
	}
	os.Exit(status)
}
