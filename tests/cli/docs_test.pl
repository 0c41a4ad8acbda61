#!/usr/bin/perl
# docs_test.pl PAGE...: what the pages show is what happens.
#
# A code block after a line that is a file's name, `name`:, is written to that file. In a console block each line after "$ "
# is run by the shell, and what follows it is what must come, on standard output and error together; where the exit code is
# not 0, "[exit code N]" is the last line. Of a line that ends in "..." only what stands before it must come. A block that
# needs a store that was not built is left out, and told. MAGEFLOW is the command, TASKS the example module; both are found under their own names.
use strict;
use warnings;
use Cwd 'abs_path';
use File::Temp 'tempdir';

my @pages = map { abs_path($_) } @ARGV or die "usage: docs_test.pl PAGE...\n";
my $work = tempdir(CLEANUP => 1);
chdir $work or die "$work: $!\n";
symlink abs_path($ENV{TASKS}), 'basic_tasks.so' or die "basic_tasks.so: $!\n";
my ($folder) = abs_path($ENV{MAGEFLOW}) =~ m{^(.*)/[^/]+$};
$ENV{PATH} = "$folder:$ENV{PATH}";
delete $ENV{MAGEFLOW_URL};

my ($commands, $problems) = (0, 0);
my $without_sqlite = `mageflow --help` !~ /sqlite:FILE/;

sub same {
    my ($got, $want) = @_;
    return $want =~ /^(.*)\.\.\.$/ ? index($got, $1) == 0 : $got eq $want;
}

sub run {
    my ($at, $command, @want) = @_;
    open my $pipe, '-|', 'bash', '-c', "{ $command\n} 2>&1" or die "bash: $!\n";
    my @got = map { chomp; $_ } <$pipe>;
    close $pipe;
    push @got, "[exit code " . ($? >> 8) . "]" if $?;
    $commands++;
    return if @got == @want && !grep { !same($got[$_], $want[$_]) } 0 .. $#want;
    $problems++;
    print "$at: $command\n", map({ "  expected: $_\n" } @want), map({ "  got:      $_\n" } @got);
}

sub console {
    my ($at, @lines) = @_;
    my ($command, @want);
    for (@lines, '$ ') {
        if (/^\$ (.*)/) {
            run($at, $command, @want) if defined $command;
            ($command, @want) = ($1);
        } else {
            push @want, $_;
        }
    }
}

for my $page (@pages) {
    open my $in, '<', $page or die "$page: $!\n";
    my ($name, $kind, @lines) = ('');
    while (<$in>) {
        chomp;
        if (!defined $kind) {
            $name = $1 if /^`([\w.-]+)`:$/;
            if (/^```(\w*)$/) {
                ($kind, @lines) = ($1);
            } elsif (/\S/ && !/^`[\w.-]+`:$/) {
                $name = '';
            }
        } elsif ($_ ne '```') {
            push @lines, $_;
        } else {
            if ($name ne '') {
                open my $out, '>', $name or die "$name: $!\n";
                print $out map { "$_\n" } @lines;
                close $out;
            } elsif ($kind eq 'console' && $without_sqlite && grep { /sqlite:/ } @lines) {
                print "$page, before line $.: left out, this build has no SQLite\n";
            } elsif ($kind eq 'console') {
                console("$page, before line $.", @lines);
            }
            ($name, $kind) = ('');
        }
    }
}
print "docs: $commands commands, $problems problems\n";
exit($problems || !$commands ? 1 : 0);
