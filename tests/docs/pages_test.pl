#!/usr/bin/perl
# pages_test.pl PAGE... -- COMPILER FLAG...: every example of the pages compiles and prints what they show.
# files:PAGE in place of a page: its files, and none of its programs.
#
# A code block after a line that is a file's name, `name`:, is written to that file, for the examples that follow on this page
# and the next ones. Every other c block is a whole program and is followed by a text block: what it prints, on standard output
# and error together. It is compiled as strict C11, where every warning counts, and must end by itself with 0. A line that is
# shown with "..." at its end may go on differently. LEFT_OUT is a list of words, separated by commas: a program that holds
# one of them needs what this build does not have; it is left out, and told. EXAMPLE=n runs the n-th program of each page alone.
# Outside of the programs, each name of the library that a page mentions (`mf_…`, `MF_…`) must stand in a header in HEADERS,
# folders with a comma between them.
use strict;
use warnings;
use Cwd 'abs_path';
use File::Temp 'tempdir';

my (@pages, @compiler, %files_only);
while (@ARGV && (my $page = shift @ARGV) ne '--') {
    my $only = $page =~ s/^files://;
    push @pages, abs_path($page) // die "$page: $!\n";
    $files_only{$pages[-1]} = $only;
}
@compiler = @ARGV;
die "usage: pages_test.pl PAGE... -- COMPILER FLAG...\n" unless @pages && @compiler;
# The sources come before the libraries.
my $after_flags = (grep { $compiler[$_] =~ /^-[lL]/ } 0 .. $#compiler)[0] // @compiler;
my @libraries = splice @compiler, $after_flags;

my $work = tempdir(CLEANUP => 1);
chdir $work or die "$work: $!\n";
delete $ENV{MAGEFLOW_URL};
my @left_out = split /,/, $ENV{LEFT_OUT} // '';
my ($programs, $problems, $omitted) = (0, 0, 0);

# What a command prints, on both outputs, and how it ended.
sub output_of {
    my (@command) = @_;
    my $pid = open(my $pipe, '-|') // die "fork: $!\n";
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT or die "stderr: $!\n";
        exec @command or die "$command[0]: $!\n";
    }
    my @lines = map { chomp; $_ } <$pipe>;
    close $pipe;
    return ($?, @lines);
}

sub same {
    my ($got, $want) = @_;
    return $want =~ /^(.*)\.\.\.$/ ? index($got, $1) == 0 : $got eq $want;
}

sub problem {
    my ($at, $what, @lines) = @_;
    $problems++;
    print "$at: $what\n", map { "  $_\n" } @lines;
}

sub program {
    my ($at, $source, $want) = @_;
    if (my ($word) = grep { index($source, $_) >= 0 } @left_out) {
        $omitted++;
        return print "$at: left out, this build has no $word\n";
    }
    $programs++;
    open my $out, '>', 'example.c' or die "example.c: $!\n";
    print $out $source;
    close $out;
    my ($status, @said) = output_of(@compiler, 'example.c', '-o', 'example', @libraries);
    return problem($at, 'does not compile, or with warnings', @said) if $status != 0 || @said;
    ($status, my @got) = output_of('timeout', '-k', '5', '60', './example');
    push @got, $status == 124 << 8 ? '[did not end]' : '[status ' . ($status & 127 || $status >> 8) . ']' if $status != 0;
    return if @got == @$want && !grep { !same($got[$_], $want->[$_]) } 0 .. $#got;
    problem($at, 'prints something else', map({ "expected: $_" } @$want), map({ "got:      $_" } @got));
}

my %known;
for my $header (map { glob "$_/*.h" } split /,/, $ENV{HEADERS}) {
    open my $in, '<', $header or die "$header: $!\n";
    $known{$_} = 1 for map { /\b(?:mf|MF)_\w+/g } <$in>;
}
die "HEADERS: no names in $ENV{HEADERS}\n" unless %known;

# Names that no header has.
sub unknown_names {
    my ($line) = @_;
    return grep { !$known{$_} } map { /\b(?:mf|MF)_\w+/g } $line =~ /`([^`]+)`/g;
}

for my $page (@pages) {
    open my $in, '<', $page or die "$page: $!\n";
    my ($short) = $page =~ m{([^/]+)$};
    my ($name, $number, $pending, $kind, $begin, @lines) = ('', 0);
    while (<$in>) {
        chomp;
        if (!defined $kind) {
            $name = $1 if /^`([\w.-]+)`:$/;
            ($kind, $begin, @lines) = ($1, $.) if /^```(\w*)$/;
            $name = '' if /\S/ && !defined $kind && !/^`[\w.-]+`:$/;
            problem("$short:$.", "no header has $_") for unknown_names($_);
        } elsif ($_ ne '```') {
            push @lines, $_;
        } else {
            if ($pending && $kind ne 'text') {
                problem($pending->[0], 'no text block follows that shows what it prints');
                undef $pending;
            }
            if ($name ne '') {
                open my $out, '>', $name or die "$name: $!\n";
                print $out map { "$_\n" } @lines;
                close $out;
            } elsif ($kind eq 'c' && !$files_only{$page}) {
                # The line number makes the compiler's complaints point into the page.
                $pending = ["$short:$begin", join('', "#line " . ($begin + 1) . " \"$short\"\n", map { "$_\n" } @lines)];
            } elsif ($kind eq 'text' && $pending) {
                $number++;
                program(@$pending, [@lines]) if ($ENV{EXAMPLE} // $number) == $number;
                undef $pending;
            }
            ($name, $kind) = ('');
        }
    }
    problem("$short:$.", 'ends inside a code block') if defined $kind;
    problem($pending->[0], 'no text block follows that shows what it prints') if $pending;
}
print "pages: $programs programs, $omitted left out, $problems problems\n";
exit($problems || !$programs ? 1 : 0);
