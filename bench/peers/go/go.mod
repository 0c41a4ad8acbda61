// The Go pools beside ours: see main.go. Built by bench/peers/build.
module peers

go 1.24

require github.com/panjf2000/ants/v2 v2.12.1

require golang.org/x/sync v0.11.0 // indirect
