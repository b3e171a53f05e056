/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest of one boot sector: writes to its memory for ever.
 *
 * At each tick of the BIOS clock (18.2 a second) it adds 1 to the first word of
 * each of the next PAGES pages, round and round in a region of REGION_BYTES from
 * REGION on; between ticks the CPU halts. So it dirties 18.2 * PAGES pages a
 * second, 4.5 MiB of them with 64, until it has been round.
 *
 * It stays in real mode, for the BIOS counts the ticks there. Data above 1 MiB
 * is reached with a segment that has kept a limit of 4 GiB from a short stay in
 * protected mode; as the BIOS may lose that, it is loaded anew at each tick.
 */
	.set	REGION, 0x800000
	.set	REGION_BYTES, 0x800000
	.set	PAGES, 64
	.set	PAGE_BYTES, 4096
	.set	BIOS_TICKS, 0x46c

	.code16
	.globl	_start
_start:
	ljmp	$0, $main
main:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7c00, %sp
	cld
	inb	$0x92, %al		/* A20 */
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92
	movl	$REGION, %edi
	movl	BIOS_TICKS, %ebx

wait:
	sti
	hlt
	cli
	movl	BIOS_TICKS, %eax
	cmpl	%ebx, %eax
	je	wait
	movl	%eax, %ebx
	call	widen
	movw	$PAGES, %cx
write:
	incl	%fs:(%edi)
	addl	$PAGE_BYTES, %edi
	cmpl	$REGION + REGION_BYTES, %edi
	jb	next
	movl	$REGION, %edi
next:
	loop	write
	jmp	wait

/* Makes %fs reach all of 4 GiB. Interrupts are off. */
widen:
	lgdtl	gdt_register
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	jmp	1f
1:	movw	$8, %dx
	movw	%dx, %fs
	andb	$0xfe, %al
	movl	%eax, %cr0
	jmp	1f
1:	xorw	%dx, %dx		/* the base; the limit stays */
	movw	%dx, %fs
	ret

	.balign	8
gdt:
	.quad	0
	.quad	0x008f92000000ffff	/* data, from 0, 4 GiB, 16-bit */
gdt_register:
	.word	15
	.long	gdt

	.org	510
	.word	0xaa55
