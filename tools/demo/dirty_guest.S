/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that is its own firmware: writes to its memory for ever.
 *
 * QEMU's -bios takes it, and no time is spent on a BIOS that looks for disks.  At each
 * tick of the PC's clock (18.2 a second) it adds 1 to the first word of each of the next
 * PAGES pages, round and round in a region of REGION_BYTES from REGION on; between ticks
 * the CPU halts.  So it dirties 18.2 * PAGES pages a second, 4.5 MiB of them with 64,
 * until it has been round.
 *
 * The last 64 KiB of the first MiB show it: the CPU begins there in real mode, and goes to
 * protected mode, flat, at once.
 */
	.set	REGION, 0x800000
	.set	REGION_BYTES, 0x800000
	.set	PAGES, 64
	.set	PAGE_BYTES, 4096
	.set	STACK, 0x8000
	.set	CODE, 8			/* selectors */
	.set	DATA, 16
	.set	CLOCK, 0x20		/* its interrupt; those before it are the CPU's own */

	.code16
	.globl	_start
_start:
	cli
	lgdtl	%cs:gdt_register - _start
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$CODE, $flat

	.code32
flat:
	movw	$DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$STACK, %esp
	lidtl	idt_register
	inb	$0x92, %al		/* A20 */
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92
	movl	$0x1ff, 0xfee000f0	/* the local APIC lets through */
	movl	$0x700, 0xfee00350
	movb	$0x11, %al		/* what the interrupt controller asks for */
	outb	%al, $0x20
	movb	$CLOCK, %al
	outb	%al, $0x21
	movb	$4, %al
	outb	%al, $0x21
	movb	$1, %al
	outb	%al, $0x21
	movb	$0xfe, %al		/* the clock alone */
	outb	%al, $0x21
	movb	$0x34, %al		/* a tick in 65536 of its periods */
	outb	%al, $0x43
	xorl	%eax, %eax
	outb	%al, $0x40
	outb	%al, $0x40
	movl	$REGION, %edi

tick:
	sti
	hlt
	cli
	movl	$PAGES, %ecx
write:
	incl	(%edi)
	addl	$PAGE_BYTES, %edi
	cmpl	$REGION + REGION_BYTES, %edi
	jb	next
	movl	$REGION, %edi
next:
	loop	write
	jmp	tick

clock:
	pushl	%eax
	movb	$0x20, %al		/* its end */
	outb	%al, $0x20
	popl	%eax
	iretl

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9a000000ffff	/* code, from 0, 4 GiB */
	.quad	0x00cf92000000ffff	/* data */
gdt_register:
	.word	23
	.long	gdt

	.balign	8
idt:
	.fill	CLOCK, 8, 0
	.word	clock - _start, CODE, 0x8e00, 0xf
idt_register:
	.word	8 * (CLOCK + 1) - 1
	.long	idt

	.org	0xfff0			/* of a reset */
	.code16
	ljmp	$0xf000, $0
	.org	0x10000
